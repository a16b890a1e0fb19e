package workspaceclaim

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var claimKind = annexv1alpha1.SchemeGroupVersion.WithKind("WorkspaceClaim")

// secret keeps the WorkspaceAccess of a claim that asks for a Secret, and says whether the Secret is there. It reports whether only events
// can change something.
func (r *reconciler) secret(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim, class *annexv1alpha1.WorkspaceClass) (done bool, err error) {
	if claim.Spec.Secret == nil {
		return true, nil
	}
	late := func(reason, format string, args ...any) {
		conditionsv1alpha1.MarkFalse(claim, annexv1alpha1.SecretReady, reason, conditionsv1alpha1.ConditionSeverityWarning, format, args...)
	}
	key := client.KeyOf(claim)
	access, err := client.FindNow[annexv1alpha1.WorkspaceAccess](ctx, r.Client, r.Live, accesses, key)
	if err != nil {
		return false, err
	}
	permitted := class != nil && class.Spec.Secret != nil
	switch {
	case access != nil && !metav1.IsControlledBy(access, claim):
		late(annexv1alpha1.ConflictReason, "WorkspaceAccess %s exists, and was not created for this claim", key.Name)
		return true, nil
	case access != nil && access.DeletionTimestamp != nil:
		late(annexv1alpha1.SecretPendingReason, "WorkspaceAccess %s is being deleted", key.Name)
		return true, nil
	case access != nil && (!permitted || !same(access, newAccess(claim, class))):
		// The class decides, also if it was changed, and so the credentials that it permitted before are revoked.
		late(annexv1alpha1.SecretPendingReason, "WorkspaceAccess %s is being replaced", key.Name)
		return false, r.withdraw(ctx, claim)
	case !permitted:
		late(annexv1alpha1.NotPermittedReason, "WorkspaceClass %s does not exist, or no longer permits Secrets", claim.Spec.WorkspaceClassName)
		return false, nil
	case access == nil:
		created, err := r.Client.Create(ctx, accesses, key.Cluster, newAccess(claim, class))
		if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
			late(annexv1alpha1.SecretPendingReason, "%v", err)
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("creating WorkspaceAccess %s: %w", key, err)
		}
		late(annexv1alpha1.SecretPendingReason, "WorkspaceAccess %s is not ready yet", created.GetName())
		return true, nil
	}
	ready := conditionsv1alpha1.Get(access, conditionsv1alpha1.ReadyCondition)
	switch {
	case conditionsv1alpha1.IsTrue(access, conditionsv1alpha1.ReadyCondition):
		conditionsv1alpha1.MarkTrue(claim, annexv1alpha1.SecretReady)
	case ready != nil && ready.Message != "":
		late(annexv1alpha1.SecretPendingReason, "WorkspaceAccess %s: %s", key.Name, ready.Message)
	default:
		late(annexv1alpha1.SecretPendingReason, "WorkspaceAccess %s is not ready yet", key.Name)
	}
	return true, nil
}

// same reports whether access gives what wanted does. A user who may write WorkspaceAccesses can make the claim the owner of another one.
func same(access, wanted *annexv1alpha1.WorkspaceAccess) bool {
	a, b := access.Spec, wanted.Spec
	return a.Workspace == b.Workspace && a.Role == b.Role && a.SecretName == b.SecretName && a.Format == b.Format
}

// newAccess returns the WorkspaceAccess of a claim. It names the logical cluster and not the path, which may lead elsewhere later.
func newAccess(claim *annexv1alpha1.WorkspaceClaim, class *annexv1alpha1.WorkspaceClass) *annexv1alpha1.WorkspaceAccess {
	access := &annexv1alpha1.WorkspaceAccess{ObjectMeta: metav1.ObjectMeta{
		Namespace:       claim.Namespace,
		Name:            claim.Name,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(claim, claimKind)},
		// Admission refuses it if the host has another namespace of this name by now: its users must not get the Secret.
		Annotations: map[string]string{annexv1alpha1.HostNamespaceUIDAnnotationKey: claim.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey]},
	}}
	access.Spec.Workspace.Path = claim.Status.Workspace.Cluster
	access.Spec.Role.ClusterRole = class.Spec.Secret.ClusterRole
	access.Spec.SecretName = claim.Spec.Secret.Name
	access.Spec.Format = claim.Spec.Secret.Format
	return access
}

// withdraw deletes the WorkspaceAccess of a claim, if there is one.
func (r *reconciler) withdraw(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim) error {
	key := client.KeyOf(claim)
	access, err := client.Find[annexv1alpha1.WorkspaceAccess](ctx, r.Client, accesses, key)
	if err != nil || access == nil || !metav1.IsControlledBy(access, claim) {
		return err
	}
	if err := r.Client.Delete(ctx, accesses, key, &metav1.Preconditions{UID: &access.UID}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting WorkspaceAccess %s in %s: %w", key, logicalcluster.From(claim), err)
	}
	return nil
}
