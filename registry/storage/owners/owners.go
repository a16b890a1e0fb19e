package owners

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// The resources that others belong to.
var (
	LogicalClusters = corev1alpha1.Resource("logicalclusters")
	Namespaces      = schema.GroupResource{Resource: "namespaces"}
	Definitions     = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
	Bindings        = apisv1alpha2.Resource("apibindings")
)

// Owner is the object by which a cluster serves a resource: a CustomResourceDefinition or an APIBinding of the cluster.
type Owner struct {
	Resource schema.GroupResource
	Name     string
	UID      types.UID
}

type ownerKey struct{}

// With returns a context in which objects of a resource are created that the cluster serves by owner.
func With(ctx context.Context, owner Owner) context.Context {
	return context.WithValue(ctx, ownerKey{}, owner)
}

// ClusterKey returns the key of the LogicalCluster of cluster.
func ClusterKey(cluster logicalcluster.Name) layout.Key {
	return layout.Key{Resource: LogicalClusters, Cluster: cluster, Name: corev1alpha1.LogicalClusterName}
}

// NamespaceKey returns the key of a Namespace.
func NamespaceKey(cluster logicalcluster.Name, name string) layout.Key {
	return layout.Key{Resource: Namespaces, Cluster: cluster, Name: name}
}

// InCluster reports whether what is stored under k belongs to a LogicalCluster. The server's own clusters have none.
func InCluster(k layout.Key) bool { return k.Resource != LogicalClusters && !k.Cluster.IsSystem() }

// IsServedByOwner reports whether what is stored under k belongs to the object by which its cluster serves the resource.
func IsServedByOwner(k layout.Key) bool {
	return k.Custom || kinds.All.IsWhereBound(k.Resource)
}

// owner is an object that a created one belongs to.
type owner struct {
	key layout.Key
	uid types.UID // empty if any object of that name will do
	state
	gate int64 // revision of its gate, if it is in another etcd
}

// of returns what an object that ctx creates under k belongs to, in the order in which a missing one is reported.
func of(ctx context.Context, k layout.Key) ([]owner, error) {
	var all []owner
	if InCluster(k) {
		all = append(all, owner{key: ClusterKey(k.Cluster)})
	}
	if IsServedByOwner(k) {
		o, ok := ctx.Value(ownerKey{}).(Owner)
		if !ok || o.Name == "" || o.UID == "" || o.Resource != Definitions && o.Resource != Bindings {
			return nil, apierrors.NewInternalError(fmt.Errorf("creating an object of %s: the request does not say by which object the cluster serves it", k.Resource))
		}
		all = append(all, owner{key: layout.Key{Resource: o.Resource, Cluster: k.Cluster, Name: o.Name}, uid: o.UID})
	}
	if k.Namespace != "" {
		all = append(all, owner{key: NamespaceKey(k.Cluster, k.Namespace)})
	}
	return all, nil
}
