package tree

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// Resources that a Tree reads.
var (
	LogicalClusters = corev1alpha1.Resource("logicalclusters")
	Workspaces      = tenancyv1alpha1.Resource("workspaces")
	WorkspaceTypes  = tenancyv1alpha1.Resource("workspacetypes")
	APIExports      = apisv1alpha2.Resource("apiexports")
)

// Resolver finds logical clusters; registry/index.Index is one.
type Resolver interface {
	// Resolve returns the name of the cluster at path; false when there is none.
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Tree reads the workspace tree. It is safe for concurrent use.
type Tree struct {
	// Cached is read first, and Live if Cached does not have the object.
	Cached, Live client.Reader
	Resolver     Resolver
}

// LogicalCluster returns the LogicalCluster of a cluster; NotFound when there is none. The object is shared.
func (t *Tree) LogicalCluster(ctx context.Context, name logicalcluster.Name) (*corev1alpha1.LogicalCluster, error) {
	return get[corev1alpha1.LogicalCluster](ctx, t.Cached, t.Live, LogicalClusters, client.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
}

// Path returns the canonical path of a cluster, or its name if no path is known.
func (t *Tree) Path(ctx context.Context, name logicalcluster.Name) (logicalcluster.Path, error) {
	lc, err := t.LogicalCluster(ctx, name)
	if apierrors.IsNotFound(err) {
		return name.Path(), nil
	}
	if err != nil {
		return "", err
	}
	return PathOf(lc), nil
}

// PathOf returns the canonical path of the cluster of lc.
func PathOf(lc *corev1alpha1.LogicalCluster) logicalcluster.Path {
	if path := lc.Annotations[logicalcluster.PathAnnotationKey]; path != "" {
		return logicalcluster.Path(path)
	}
	return logicalcluster.From(lc).Path()
}

// WorkspaceType returns the WorkspaceType called name in the cluster at path; NotFound if either does not exist. With
// cachedOnly, it reads only the cache. The object is shared.
func (t *Tree) WorkspaceType(ctx context.Context, path logicalcluster.Path, name string, cachedOnly bool) (*tenancyv1alpha1.WorkspaceType, error) {
	cluster, err := t.resolve(ctx, path, WorkspaceTypes, name)
	if err != nil {
		return nil, err
	}
	live := t.Live
	if cachedOnly {
		live = t.Cached
	}
	return get[tenancyv1alpha1.WorkspaceType](ctx, t.Cached, live, WorkspaceTypes, client.Key{Cluster: cluster, Name: name})
}

// APIExport returns the APIExport called name in cluster; NotFound if it does not exist. The object is shared.
func (t *Tree) APIExport(ctx context.Context, cluster logicalcluster.Name, name string) (*apisv1alpha2.APIExport, error) {
	return get[apisv1alpha2.APIExport](ctx, t.Cached, t.Live, APIExports, client.Key{Cluster: cluster, Name: name})
}

func (t *Tree) resolve(ctx context.Context, path logicalcluster.Path, resource schema.GroupResource, name string) (logicalcluster.Name, error) {
	cluster, found, err := t.Resolver.Resolve(ctx, path)
	if err != nil {
		return "", err
	}
	if !found {
		return "", apierrors.NewNotFound(resource, path.Join(name).String())
	}
	return cluster, nil
}

// get is client.FindNow, except that an object that is not there is a NotFound.
func get[T any](ctx context.Context, cached, live client.Reader, resource schema.GroupResource, key client.Key) (*T, error) {
	obj, err := client.FindNow[T](ctx, cached, live, resource, key)
	if obj == nil && err == nil {
		err = apierrors.NewNotFound(resource, key.Name)
	}
	return obj, err
}
