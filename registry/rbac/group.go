package rbac

import (
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

const version = "v1"

// NewGroup returns the storage of rbac.authorization.k8s.io; evaluator knows what users hold. The error says which store
// could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter, evaluator *policy.Evaluator) (*group.Group, error) {
	if evaluator == nil {
		return nil, errors.New("building the storage of RBAC: an evaluator is needed")
	}
	g, err := kinds.NewGroup(rbacv1.GroupName, s, getter, roleKind(), roleBindingKind(), clusterRoleKind(), clusterRoleBindingKind())
	if err != nil {
		return nil, err
	}
	checks := checks{evaluator: evaluator}
	for resource, check := range map[string]check{
		"roles":               checks.role,
		"rolebindings":        checks.roleBinding,
		"clusterroles":        checks.clusterRole,
		"clusterrolebindings": checks.clusterRoleBinding,
	} {
		served := g.Versions[version]
		open, ok := served[resource].(*kinds.REST)
		if !ok {
			return nil, errors.New("building the storage of RBAC: there is none for " + resource)
		}
		served[resource] = &guarded{REST: open, check: check}
	}
	return g, nil
}

func roleKind() *kinds.Kind[rbacv1.Role, *rbacv1.Role] {
	return &kinds.Kind[rbacv1.Role, *rbacv1.Role]{
		Columns:        roleColumns(),
		Cells:          func(o *rbacv1.Role) []any { return roleRow(o.ObjectMeta) },
		CreateOnUpdate: true,
		Validate:       validateRole,
	}
}

func clusterRoleKind() *kinds.Kind[rbacv1.ClusterRole, *rbacv1.ClusterRole] {
	return &kinds.Kind[rbacv1.ClusterRole, *rbacv1.ClusterRole]{
		Columns:        roleColumns(),
		Cells:          func(o *rbacv1.ClusterRole) []any { return roleRow(o.ObjectMeta) },
		CreateOnUpdate: true,
		Validate:       validateClusterRole,
	}
}

func roleBindingKind() *kinds.Kind[rbacv1.RoleBinding, *rbacv1.RoleBinding] {
	return &kinds.Kind[rbacv1.RoleBinding, *rbacv1.RoleBinding]{
		Columns:        bindingColumns(),
		Cells:          func(o *rbacv1.RoleBinding) []any { return bindingRow(o.ObjectMeta, o.RoleRef, o.Subjects) },
		CreateOnUpdate: true,
		Validate:       validateRoleBinding,
		ValidateUpdate: validateRoleBindingUpdate,
	}
}

func clusterRoleBindingKind() *kinds.Kind[rbacv1.ClusterRoleBinding, *rbacv1.ClusterRoleBinding] {
	return &kinds.Kind[rbacv1.ClusterRoleBinding, *rbacv1.ClusterRoleBinding]{
		Columns:        bindingColumns(),
		Cells:          func(o *rbacv1.ClusterRoleBinding) []any { return bindingRow(o.ObjectMeta, o.RoleRef, o.Subjects) },
		CreateOnUpdate: true,
		Validate:       validateClusterRoleBinding,
		ValidateUpdate: validateClusterRoleBindingUpdate,
	}
}
