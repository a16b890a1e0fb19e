package rbac

import (
	"errors"
	"maps"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

const version = "v1"

// Stores are the stores of rbac.authorization.k8s.io. The server itself reads and writes them as they are. An evaluator is made
// from what it reads, and with an evaluator comes the group that users reach.
type Stores struct{ open *group.Group }

// NewStores returns the stores. The error says which one could not be set up.
func NewStores(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*Stores, error) {
	g, err := kinds.NewGroup(rbacv1.GroupName, s, getter, roleKind(), roleBindingKind(), clusterRoleKind(), clusterRoleBindingKind())
	if err != nil {
		return nil, err
	}
	return &Stores{open: g}, nil
}

// Unguarded returns the stores as a group in which nothing keeps users from granting what they do not hold. It is for the server
// itself, and must not be served.
func (s *Stores) Unguarded() *group.Group { return s.open }

// Guarded returns the group that users reach; evaluator knows what they hold.
func (s *Stores) Guarded(evaluator *policy.Evaluator) (*group.Group, error) {
	if evaluator == nil {
		return nil, errors.New("building the storage of RBAC: an evaluator is required")
	}
	checks := checks{evaluator: evaluator}
	served := maps.Clone(s.open.Versions[version])
	for resource, check := range map[string]check{
		"roles":               checks.role,
		"rolebindings":        checks.roleBinding,
		"clusterroles":        checks.clusterRole,
		"clusterrolebindings": checks.clusterRoleBinding,
	} {
		open, ok := served[resource].(*kinds.REST)
		if !ok {
			return nil, errors.New("building the storage of RBAC: there is none for " + resource)
		}
		served[resource] = &guarded{REST: open, check: check}
	}
	return &group.Group{Name: s.open.Name, Versions: map[string]map[string]rest.Storage{version: served}, System: s.open.System}, nil
}

func roleKind() *kinds.Kind[rbacv1.Role, *rbacv1.Role] {
	return &kinds.Kind[rbacv1.Role, *rbacv1.Role]{
		Columns:            roleColumns(),
		Cells:              func(o *rbacv1.Role) []any { return roleRow(o.ObjectMeta) },
		CreateOnUpdate:     true,
		Validate:           validateRole,
		StandardFinalizers: true,
	}
}

func clusterRoleKind() *kinds.Kind[rbacv1.ClusterRole, *rbacv1.ClusterRole] {
	return &kinds.Kind[rbacv1.ClusterRole, *rbacv1.ClusterRole]{
		Columns:            roleColumns(),
		Cells:              func(o *rbacv1.ClusterRole) []any { return roleRow(o.ObjectMeta) },
		CreateOnUpdate:     true,
		Validate:           validateClusterRole,
		StandardFinalizers: true,
	}
}

func roleBindingKind() *kinds.Kind[rbacv1.RoleBinding, *rbacv1.RoleBinding] {
	return &kinds.Kind[rbacv1.RoleBinding, *rbacv1.RoleBinding]{
		Columns:            bindingColumns("roleBinding", rbacv1.RoleBinding{}.SwaggerDoc()["roleRef"]),
		Cells:              func(o *rbacv1.RoleBinding) []any { return bindingRow(o.ObjectMeta, o.RoleRef, o.Subjects) },
		CreateOnUpdate:     true,
		Validate:           validateRoleBinding,
		StandardFinalizers: true,
		ValidateUpdate:     validateRoleBindingUpdate,
	}
}

func clusterRoleBindingKind() *kinds.Kind[rbacv1.ClusterRoleBinding, *rbacv1.ClusterRoleBinding] {
	return &kinds.Kind[rbacv1.ClusterRoleBinding, *rbacv1.ClusterRoleBinding]{
		Columns:            bindingColumns("clusterRoleBinding", rbacv1.ClusterRoleBinding{}.SwaggerDoc()["roleRef"]),
		Cells:              func(o *rbacv1.ClusterRoleBinding) []any { return bindingRow(o.ObjectMeta, o.RoleRef, o.Subjects) },
		CreateOnUpdate:     true,
		Validate:           validateClusterRoleBinding,
		StandardFinalizers: true,
		ValidateUpdate:     validateClusterRoleBindingUpdate,
	}
}
