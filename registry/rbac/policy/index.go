package policy

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
)

// The resources that policy is made of.
var (
	roles               = rbacv1.Resource("roles")
	roleBindings        = rbacv1.Resource("rolebindings")
	clusterRoles        = rbacv1.Resource("clusterroles")
	clusterRoleBindings = rbacv1.Resource("clusterrolebindings")
	logicalClusters     = corev1alpha1.Resource("logicalclusters")
)

// listed are those that are compiled whole; followed are all of which a change matters.
func listed() []schema.GroupResource {
	return []schema.GroupResource{roles, roleBindings, clusterRoles, clusterRoleBindings}
}

// Followed returns the resources that the Fresh of an Evaluator waits for.
func Followed() []schema.GroupResource { return append(listed(), logicalClusters) }

// roleKey names a role; the namespace of a ClusterRole is empty.
type roleKey struct{ namespace, name string }

// grant is one binding.
type grant struct {
	binding string
	role    roleKey
}

// grants are the bindings of one namespace, or those of the whole cluster, by subject.
type grants struct {
	users, groups map[string][]*grant
}

// index is the policy of one cluster. It never changes and shares its rules with the objects it was built from.
type index struct {
	rules      map[roleKey][]rbacv1.PolicyRule
	namespaces map[string]*grants // cluster-wide bindings are at the empty namespace
	// required is what the LogicalCluster says of groups, for example "a,b;c"; mostly empty.
	required string
	// parent is the cluster above, whose bindings may count here; empty if there is none, or if the cluster takes nothing from above.
	parent logicalcluster.Name
	// legacy is what counts in the clusters below; nil if nothing does, as in most clusters.
	legacy *legacy
}

// compile reads the policy of cluster.
func compile(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*index, error) {
	ix := &index{rules: map[roleKey][]rbacv1.PolicyRule{}, namespaces: map[string]*grants{}}
	for _, resource := range listed() {
		objects, err := from.List(ctx, resource, client.Scope{Cluster: cluster})
		if err != nil {
			return nil, fmt.Errorf("listing %s of cluster %q: %w", resource.Resource, cluster, err)
		}
		for _, object := range objects {
			if resource == clusterRoles && SystemRole(object.GetName()) && !holdsSystemRoles(cluster) {
				continue // Nobody can create one any more. Those stored earlier must not stand for a role of the system.
			}
			if err := ix.add(object); err != nil {
				return nil, fmt.Errorf("reading %s of cluster %q: %w", resource.Resource, cluster, err)
			}
		}
	}
	lc, err := from.Get(ctx, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the LogicalCluster of %q: %w", cluster, err)
	}
	if err == nil {
		ix.required = lc.GetAnnotations()[corev1alpha1.RequiredGroupsAnnotationKey]
		if ix.parent, err = parentOf(lc); err != nil {
			return nil, fmt.Errorf("reading the LogicalCluster of %q: %w", cluster, err)
		}
	} else {
		ix.legacy = nil // nobody can tell whether the cluster is still the one that others are below
	}
	return ix, nil
}

// add takes one object into the index.
func (ix *index) add(object client.Object) error {
	switch o := object.(type) {
	case *rbacv1.Role:
		ix.rules[roleKey{o.Namespace, o.Name}] = o.Rules
	case *rbacv1.ClusterRole:
		ix.rules[roleKey{name: o.Name}] = o.Rules
		if inheritance.Gives(o) {
			ix.leaves().roles[o.Name] = o.Rules
		}
	case *rbacv1.RoleBinding:
		bind(ix.in(o.Namespace), o.Namespace, o.Name, o.RoleRef, o.Subjects)
	case *rbacv1.ClusterRoleBinding:
		bind(ix.in(""), "", o.Name, o.RoleRef, o.Subjects)
		if inheritance.Gives(o) {
			bind(ix.leaves().grants, "", o.Name, o.RoleRef, o.Subjects)
		}
	default:
		return fmt.Errorf("unexpected type %T", object)
	}
	return nil
}

// in returns the bindings of a namespace, or those of the whole cluster.
func (ix *index) in(namespace string) *grants {
	in := ix.namespaces[namespace]
	if in == nil {
		in = newGrants()
		ix.namespaces[namespace] = in
	}
	return in
}

func newGrants() *grants { return &grants{users: map[string][]*grant{}, groups: map[string][]*grant{}} }

// bind takes one binding into in. A reference of unknown kind grants nothing; neither does a ClusterRoleBinding to a Role.
func bind(in *grants, namespace, name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
	g := &grant{binding: name}
	switch {
	case ref.Kind == "ClusterRole":
		g.role = roleKey{name: ref.Name}
	case ref.Kind == "Role" && namespace != "":
		g.role = roleKey{namespace: namespace, name: ref.Name}
	default:
		return
	}
	for _, subject := range subjects {
		switch subject.Kind {
		case rbacv1.UserKind:
			in.users[subject.Name] = append(in.users[subject.Name], g)
		case rbacv1.GroupKind:
			in.groups[subject.Name] = append(in.groups[subject.Name], g)
		case rbacv1.ServiceAccountKind:
			account := subject.Namespace
			if account == "" {
				account = namespace
			}
			if account != "" {
				username := serviceaccount.MakeUsername(account, subject.Name)
				in.users[username] = append(in.users[username], g)
			}
		}
	}
}

// What parts of an index take in bytes, maps included. Rules and most names belong to the objects in the watch cache.
const (
	indexBytes     = 256
	roleBytes      = 112
	namespaceBytes = 384
	subjectBytes   = 96
	grantBytes     = 80
)

// size returns about how many bytes ix takes; see TestIndex_KnowsItsSize.
func (ix *index) size() int64 {
	bytes := indexBytes + roleBytes*len(ix.rules) + len(ix.required) + len(ix.parent)
	for _, in := range ix.namespaces {
		bytes += in.size()
	}
	if ix.legacy != nil {
		bytes += ix.legacy.grants.size() + roleBytes*len(ix.legacy.roles)
	}
	return int64(bytes)
}

func (in *grants) size() int {
	bytes := namespaceBytes
	for _, subjects := range []map[string][]*grant{in.users, in.groups} {
		for _, granted := range subjects {
			bytes += subjectBytes + grantBytes*len(granted)
		}
	}
	return bytes
}
