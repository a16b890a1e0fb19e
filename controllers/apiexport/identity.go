package apiexport

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/identitysecret"
)

// ensureIdentity updates the reference, the hash and the condition of export, which the caller owns, from the Secret. It creates a
// Secret if the export names none. The error means that it may be tried again; the condition shows the fault, too.
func (r *reconciler) ensureIdentity(ctx context.Context, key client.Key, export *apisv1alpha2.APIExport) error {
	var ref *corev1.SecretReference
	if export.Spec.Identity != nil {
		ref = export.Spec.Identity.SecretRef
	}
	found, err := identitysecret.Ensure(ctx, r.client, key, ref, export.Status.IdentityHash)
	if ref == nil && found.Ref != nil {
		export.Spec.Identity = &apisv1alpha2.Identity{SecretRef: found.Ref}
	}
	if found.Reason != "" {
		conditionsv1alpha1.MarkFalse(export, apisv1alpha2.APIExportIdentityValid, found.Reason, conditionsv1alpha1.ConditionSeverityError, "%s", found.Message)
		return err
	}
	export.Status.IdentityHash = found.Hash
	conditionsv1alpha1.MarkTrue(export, apisv1alpha2.APIExportIdentityValid)
	return nil
}
