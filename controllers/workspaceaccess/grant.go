package workspaceaccess

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// errForeign says that an object with the name of ours is not ours.
var errForeign = errors.New("was not created for this WorkspaceAccess")

// grant returns the ServiceAccount in the workspace, with the role bound to it. If somebody has revoked it, grant sets the condition and returns
// nil. What exists is read past the caches before it counts as missing, because it may have been made a moment ago.
func (r *reconciler) grant(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess) (*corev1.ServiceAccount, error) {
	cluster := acceptedFor(access)
	// An author with permissions in the workspace has written the spec since.
	renewed := access.Status.ObservedGeneration != access.Generation
	revoked := conditionsv1alpha1.GetReason(access, annexv1alpha1.AccessGranted) == annexv1alpha1.RevokedReason
	made := access.Status.ServiceAccount
	if renewed {
		revoked, made = false, nil
	}
	account, err := find[corev1.ServiceAccount](ctx, r, accounts, client.Key{Cluster: cluster, Namespace: metav1.NamespaceSystem, Name: nameOf(access)}, access)
	if err != nil {
		return nil, err
	}
	binding, err := find[rbacv1.ClusterRoleBinding](ctx, r, bindings, client.Key{Cluster: cluster, Name: nameOf(access)}, access)
	if err != nil {
		return nil, err
	}
	if revoked || made != nil && (account == nil || account.UID != made.UID || !binds(binding, account)) {
		failed(access, annexv1alpha1.AccessGranted, annexv1alpha1.RevokedReason,
			"ServiceAccount %s or its ClusterRoleBinding was deleted in the workspace, so the access is revoked. To give it again, create the WorkspaceAccess again", nameOf(access))
		access.Status.ServiceAccount = nil
		return nil, r.revoke(ctx, cluster, access)
	}
	if account == nil {
		account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: nameOf(access)}}
		mark(account, key, access)
		if account, err = create(ctx, r, accounts, cluster, account); err != nil {
			return nil, err
		}
	}
	if binding != nil && !binds(binding, account) { // of an earlier ServiceAccount
		if err := r.Client.Delete(ctx, bindings, client.KeyOf(binding), &metav1.Preconditions{UID: &binding.UID}); err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("deleting an outdated ClusterRoleBinding in %s: %w", cluster, err)
		}
		binding = nil
	}
	if binding == nil {
		if err := r.bind(ctx, key, access, cluster); err != nil {
			return nil, err
		}
	}
	access.Status.ServiceAccount = &annexv1alpha1.WorkspaceAccessServiceAccount{Namespace: account.Namespace, Name: account.Name, UID: account.UID}
	conditionsv1alpha1.MarkTrue(access, annexv1alpha1.AccessGranted)
	return account, nil
}

// bind binds the role to the ServiceAccount. A ServiceAccount needs no permission to enter its own workspace.
func (r *reconciler) bind(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess, cluster logicalcluster.Name) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: nameOf(access)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: access.Spec.Role.ClusterRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: nameOf(access)}},
	}
	mark(binding, key, access)
	_, err := create(ctx, r, bindings, cluster, binding)
	return err
}

// binds reports whether binding still binds something to account.
func binds(binding *rbacv1.ClusterRoleBinding, account *corev1.ServiceAccount) bool {
	return binding != nil && slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool {
		return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == account.Namespace && s.Name == account.Name
	})
}

// find returns what was made for access; nil if it is not there.
func find[T any](ctx context.Context, r *reconciler, resource schema.GroupResource, key client.Key, access *annexv1alpha1.WorkspaceAccess) (*T, error) {
	found, err := client.FindNow[T](ctx, r.Client, r.Live, resource, key)
	if err != nil || found == nil {
		return nil, err
	}
	if obj, ok := any(found).(client.Object); !ok || !marked(obj, access) {
		return nil, fmt.Errorf("%s %s in the workspace %w", resource, key.Name, errForeign)
	}
	return found, nil
}

// create creates obj and returns what was stored.
func create[T client.Object](ctx context.Context, r *reconciler, resource schema.GroupResource, cluster logicalcluster.Name, obj T) (T, error) {
	stored, err := r.Client.Create(ctx, resource, cluster, obj)
	if err != nil {
		return obj, fmt.Errorf("creating %s %s in %s: %w", resource, obj.GetName(), cluster, err)
	}
	typed, ok := stored.(T)
	if !ok {
		return obj, fmt.Errorf("creating %s %s in %s: unexpected type %T", resource, obj.GetName(), cluster, stored)
	}
	return typed, nil
}

// revoke deletes what was made for access in cluster. Its tokens are invalid from then on.
func (r *reconciler) revoke(ctx context.Context, cluster logicalcluster.Name, access *annexv1alpha1.WorkspaceAccess) error {
	if cluster.Empty() {
		return nil
	}
	account := client.Key{Cluster: cluster, Namespace: metav1.NamespaceSystem, Name: nameOf(access)}
	if err := remove[corev1.ServiceAccount](ctx, r, accounts, account, access); err != nil {
		return err
	}
	return remove[rbacv1.ClusterRoleBinding](ctx, r, bindings, client.Key{Cluster: cluster, Name: nameOf(access)}, access)
}

// remove deletes what was made for access; what is not ours stays.
func remove[T any](ctx context.Context, r *reconciler, resource schema.GroupResource, key client.Key, access *annexv1alpha1.WorkspaceAccess) error {
	found, err := find[T](ctx, r, resource, key, access)
	switch {
	case errors.Is(err, errForeign):
		return nil
	case err != nil || found == nil:
		return err
	}
	obj, _ := any(found).(client.Object)
	uid := obj.GetUID()
	if err := r.Client.Delete(ctx, resource, key, &metav1.Preconditions{UID: &uid}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting %s %s: %w", resource, key, err)
	}
	return nil
}
