package rbac

import (
	"context"
	"maps"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// Who may not use the verb inherit changes nothing in the workspaces below, whatever that user holds in the workspace: neither whether something is
// inherited, nor by whom, nor what it permits. Patch and apply come here by way of Update, too.
func TestInherit_WhoMayWriteIt(t *testing.T) {
	h := newHarness(t)
	for _, obj := range []client.Object{
		clienttest.In("a", clusterRole("inheritor", rbacv1.PolicyRule{Verbs: []string{"inherit"}, APIGroups: []string{rbacv1.GroupName},
			Resources: []string{"clusterroles", "clusterrolebindings"}, ResourceNames: []string{"mine"}}, configMaps)),
		clienttest.In("a", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "heir"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "inheritor"},
			Subjects: []rbacv1.Subject{{Kind: "User", Name: "heir"}}}),
	} {
		if _, err := h.fake.Create(t.Context(), rbacv1.Resource(map[bool]string{true: "clusterroles", false: "clusterrolebindings"}[obj.GetName() == "inheritor"]), "a", obj); err != nil {
			t.Fatal(err)
		}
	}
	const roles, bindings = "clusterroles", "clusterrolebindings"
	binding := func(name, role, value string) client.Object {
		b := clusterRoleBinding(role)
		b.Name = name
		return marked(value, b)
	}
	aggregated := marked("true", clusterRole("mine"))
	aggregated.(*rbacv1.ClusterRole).AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}}
	ok := func(err error) bool { return err == nil }

	for _, tc := range []struct {
		name, user, resource string
		old, obj             client.Object // old is nil for a create
		want                 func(error) bool
	}{
		{"a binding", "writer", bindings, nil, binding("mine", "small", "true"), apierrors.IsForbidden},
		{"a binding, by who may", "heir", bindings, nil, binding("mine", "small", "true"), ok},
		{"a binding, by who may, of another name", "heir", bindings, nil, binding("other", "small", "true"), apierrors.IsForbidden},
		{"a binding to a role that the user does not hold", "heir", bindings, nil, binding("mine", "big", "true"), apierrors.IsForbidden},
		{"a binding that is not inherited", "writer", bindings, nil, binding("mine", "small", "false"), ok},
		{"a binding becomes inherited", "writer", bindings, binding("mine", "small", ""), binding("mine", "small", "true"), apierrors.IsForbidden},
		{"a binding becomes inherited, by who may", "heir", bindings, binding("mine", "small", ""), binding("mine", "small", "true"), ok},
		{"a binding is no longer inherited", "writer", bindings, binding("mine", "small", "true"), binding("mine", "small", ""), ok},
		{"other subjects", "writer", bindings, binding("mine", "small", "true"), with(binding("mine", "small", "true"), "writer"), apierrors.IsForbidden},
		{"other subjects, by who may", "heir", bindings, binding("mine", "small", "true"), with(binding("mine", "small", "true"), "writer"), ok},
		{"finalizers, which give nothing", "writer", bindings, binding("finalized", "small", "true"), finalized(binding("finalized", "small", "true")), ok},
		{"a role", "writer", roles, nil, marked("true", clusterRole("mine", configMaps)), apierrors.IsForbidden},
		{"a role, by who may", "heir", roles, nil, marked("true", clusterRole("mine", configMaps)), ok},
		{"a role with more than the user holds", "heir", roles, nil, marked("true", clusterRole("mine", policy.Everything()...)), apierrors.IsForbidden},
		{"a role becomes inherited", "writer", roles, clusterRole("mine", configMaps), marked("true", clusterRole("mine", configMaps)), apierrors.IsForbidden},
		{"rules of a role", "writer", roles, marked("true", clusterRole("mine")), marked("true", clusterRole("mine", configMaps)), apierrors.IsForbidden},
		{"rules of a role, by who may", "heir", roles, marked("true", clusterRole("mine")), marked("true", clusterRole("mine", configMaps)), ok},
		{"an administrator", "owner", bindings, nil, binding("any", "big", "true"), ok},
		{"a role that aggregates", "owner", roles, nil, aggregated, apierrors.IsInvalid},
		{"a role begins to aggregate", "owner", roles, marked("true", clusterRole("mine")), aggregated, apierrors.IsInvalid},
		{"another word", "owner", bindings, nil, binding("any", "big", "yes"), apierrors.IsInvalid},
		{"a Role", "owner", "roles", nil, marked("true", &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "default"}}), apierrors.IsInvalid},
		{"a RoleBinding", "owner", "rolebindings", nil, marked("true", &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "default"},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "big"}}), apierrors.IsInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := as(t.Context(), tc.resource, tc.obj.GetNamespace(), tc.user)
			if tc.old != nil {
				if _, err := h.System[tc.resource].Create(ctx, tc.old.DeepCopyObject(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			write := func(ctx context.Context) error {
				_, err := h.update(ctx, tc.resource, tc.obj.GetName(), true, func(old runtime.Object) runtime.Object {
					obj := tc.obj.DeepCopyObject().(client.Object)
					if finalizers := obj.GetFinalizers(); len(finalizers) > 0 { // the rest is as it is stored
						old.(client.Object).SetFinalizers(finalizers)
						return old
					}
					obj.SetUID(old.(client.Object).GetUID())
					obj.SetResourceVersion(old.(client.Object).GetResourceVersion())
					obj.SetCreationTimestamp(old.(client.Object).GetCreationTimestamp())
					kept := map[string]string{}
					maps.Copy(kept, old.(client.Object).GetAnnotations())
					delete(kept, inheritance.AnnotationKey)
					maps.Copy(kept, obj.GetAnnotations())
					obj.SetAnnotations(kept)
					return obj
				})
				return err
			}
			if tc.obj.GetFinalizers() != nil {
				if err := write(ctx); err != nil {
					t.Error(err)
				}
				return // the object stays until somebody removes its finalizer
			}
			if tc.want(nil) {
				defer func() { remove(t, h, tc.resource, tc.obj) }()
			} else if tc.user == "writer" {
				if err := write(policy.WithWarrant(ctx, "a")); !apierrors.IsForbidden(err) {
					t.Errorf("by a claim: %v", err)
				}
			}
			if err := write(ctx); !tc.want(err) {
				t.Errorf("by update: %v", err)
			}
			if tc.old != nil {
				if !tc.want(nil) {
					remove(t, h, tc.resource, tc.obj)
				}
				return
			}
			if tc.want(nil) {
				remove(t, h, tc.resource, tc.obj)
			}
			if _, err := h.create(ctx, tc.resource, tc.obj.DeepCopyObject()); !tc.want(err) {
				t.Errorf("by create: %v", err)
			}
		})
	}
}

// marked returns obj with a value of the annotation; empty for none.
func marked(value string, obj client.Object) client.Object {
	if value != "" {
		obj.SetAnnotations(map[string]string{inheritance.AnnotationKey: value})
	}
	return obj
}

func with(obj client.Object, who string) client.Object {
	b := obj.(*rbacv1.ClusterRoleBinding)
	b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: "User", Name: who})
	return b
}

func finalized(obj client.Object) client.Object {
	obj.SetFinalizers([]string{"example.com/x"})
	return obj
}
