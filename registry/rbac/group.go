package rbac

import (
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/builtin"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/scheme"
)

const version = "v1"

// NewGroup returns the storage of rbac.authorization.k8s.io; evaluator knows the permissions of users. The error names the
// store that could not be set up.
func NewGroup(s *scheme.Scheme, getter generic.RESTOptionsGetter, evaluator *policy.Evaluator) (*group.Group, error) {
	if evaluator == nil {
		return nil, errors.New("building the storage of RBAC: an evaluator is required")
	}
	g := &group.Group{Name: rbacv1.GroupName}
	if _, err := roleKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := roleBindingKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := clusterRoleKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	if _, err := clusterRoleBindingKind().Install(g, s, getter); err != nil {
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
		open, ok := served[resource].(*group.REST)
		if !ok {
			return nil, errors.New("building the storage of RBAC: there is none for " + resource)
		}
		served[resource] = &guarded{REST: open, check: check}
	}
	return g, nil
}

func roleKind() *builtin.Kind[rbacv1.Role, *rbacv1.Role] {
	return &builtin.Kind[rbacv1.Role, *rbacv1.Role]{
		Version: version, Resource: rbacv1.Resource("roles"), Singular: "role",
		List:           func() runtime.Object { return &rbacv1.RoleList{} },
		Columns:        roleColumns(),
		Row:            func(o *rbacv1.Role) []any { return roleRow(o.ObjectMeta) },
		CreateOnUpdate: true,
		Validate:       validateRole,
	}
}

func clusterRoleKind() *builtin.Kind[rbacv1.ClusterRole, *rbacv1.ClusterRole] {
	return &builtin.Kind[rbacv1.ClusterRole, *rbacv1.ClusterRole]{
		Version: version, Resource: rbacv1.Resource("clusterroles"), Singular: "clusterrole", ClusterScoped: true,
		List:           func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		Columns:        roleColumns(),
		Row:            func(o *rbacv1.ClusterRole) []any { return roleRow(o.ObjectMeta) },
		CreateOnUpdate: true,
		Validate:       validateClusterRole,
	}
}

func roleBindingKind() *builtin.Kind[rbacv1.RoleBinding, *rbacv1.RoleBinding] {
	return &builtin.Kind[rbacv1.RoleBinding, *rbacv1.RoleBinding]{
		Version: version, Resource: rbacv1.Resource("rolebindings"), Singular: "rolebinding",
		List:           func() runtime.Object { return &rbacv1.RoleBindingList{} },
		Columns:        bindingColumns(),
		Row:            func(o *rbacv1.RoleBinding) []any { return bindingRow(o.ObjectMeta, o.RoleRef, o.Subjects) },
		CreateOnUpdate: true,
		Validate:       validateRoleBinding,
		ValidateUpdate: validateRoleBindingUpdate,
	}
}

func clusterRoleBindingKind() *builtin.Kind[rbacv1.ClusterRoleBinding, *rbacv1.ClusterRoleBinding] {
	return &builtin.Kind[rbacv1.ClusterRoleBinding, *rbacv1.ClusterRoleBinding]{
		Version: version, Resource: rbacv1.Resource("clusterrolebindings"), Singular: "clusterrolebinding", ClusterScoped: true,
		List:           func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
		Columns:        bindingColumns(),
		Row:            func(o *rbacv1.ClusterRoleBinding) []any { return bindingRow(o.ObjectMeta, o.RoleRef, o.Subjects) },
		CreateOnUpdate: true,
		Validate:       validateClusterRoleBinding,
		ValidateUpdate: validateClusterRoleBindingUpdate,
	}
}
