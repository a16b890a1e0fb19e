package bootstrap

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/bootstrap/policy"
)

// ensureRBAC writes one object of the policy. Like a kube-apiserver, it adds missing rules and subjects, keeps additional ones, and does
// not change an object with the opt-out annotation.
func (w *writer) ensureRBAC(ctx context.Context, cluster logicalcluster.Name, obj client.Object) error {
	var err error
	switch wanted := obj.(type) {
	case *rbacv1.ClusterRole:
		_, err = ensure(ctx, w, rbacv1.Resource("clusterroles"), cluster, wanted, func(role *rbacv1.ClusterRole) {
			if !updatable(role) {
				return
			}
			mergeMeta(role, wanted)
			if wanted.AggregationRule != nil {
				// A controller writes the rules of an aggregated role from other roles.
				role.AggregationRule = wanted.AggregationRule.DeepCopy()
				return
			}
			role.Rules = withMissing(role.Rules, wanted.Rules)
		})
	case *rbacv1.Role:
		_, err = ensure(ctx, w, rbacv1.Resource("roles"), cluster, wanted, func(role *rbacv1.Role) {
			if updatable(role) {
				mergeMeta(role, wanted)
				role.Rules = withMissing(role.Rules, wanted.Rules)
			}
		})
	case *rbacv1.ClusterRoleBinding:
		if err := w.dropRebound(ctx, cluster, wanted); err != nil {
			return err
		}
		_, err = ensure(ctx, w, rbacv1.Resource("clusterrolebindings"), cluster, wanted, func(binding *rbacv1.ClusterRoleBinding) {
			if updatable(binding) {
				mergeMeta(binding, wanted)
				binding.Subjects = withMissing(binding.Subjects, wanted.Subjects)
			}
		})
	case *rbacv1.RoleBinding:
		_, err = ensure(ctx, w, rbacv1.Resource("rolebindings"), cluster, wanted, func(binding *rbacv1.RoleBinding) {
			if updatable(binding) {
				mergeMeta(binding, wanted)
				binding.Subjects = withMissing(binding.Subjects, wanted.Subjects)
			}
		})
	default:
		err = fmt.Errorf("a %T is not a part of the RBAC policy", obj)
	}
	return err
}

// ensureHomes lets members of groups, and nobody else, create home workspaces. A group that is no longer in the configuration must not keep
// the right, so subjects that others have added are removed.
func (w *writer) ensureHomes(ctx context.Context, groups []string) error {
	role, wanted := policy.Homes(groups)
	if err := w.ensureRBAC(ctx, logicalcluster.Root, role); err != nil {
		return err
	}
	if err := w.dropRebound(ctx, logicalcluster.Root, wanted); err != nil {
		return err
	}
	_, err := ensure(ctx, w, rbacv1.Resource("clusterrolebindings"), logicalcluster.Root, wanted, func(binding *rbacv1.ClusterRoleBinding) {
		if updatable(binding) {
			mergeMeta(binding, wanted)
			binding.Subjects = slices.Clone(wanted.Subjects)
		}
	})
	return err
}

// dropRebound deletes a binding to a role other than wanted's, because the role of a binding cannot be changed.
func (w *writer) dropRebound(ctx context.Context, cluster logicalcluster.Name, wanted *rbacv1.ClusterRoleBinding) error {
	resource, key := rbacv1.Resource("clusterrolebindings"), client.Key{Cluster: cluster, Name: wanted.Name}
	got, err := w.client.Get(ctx, resource, key)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading ClusterRoleBinding %q in %s: %w", wanted.Name, cluster, err)
	}
	binding, ok := got.(*rbacv1.ClusterRoleBinding)
	if !ok || binding.RoleRef == wanted.RoleRef || !updatable(binding) {
		return nil
	}
	uid := binding.UID
	if err := w.client.Delete(ctx, resource, key, &metav1.Preconditions{UID: &uid}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting ClusterRoleBinding %q in %s, which binds another role: %w", wanted.Name, cluster, err)
	}
	return nil
}

// updatable reports whether obj may be changed at start.
func updatable(obj metav1.Object) bool {
	return obj.GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] != "false"
}

// withMissing returns have, and the items of want that are not in have.
func withMissing[T any](have, want []T) []T {
	for _, item := range want {
		if !slices.ContainsFunc(have, func(x T) bool { return apiequality.Semantic.DeepEqual(x, item) }) {
			have = append(slices.Clone(have), item)
		}
	}
	return have
}
