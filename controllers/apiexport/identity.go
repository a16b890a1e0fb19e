package apiexport

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// ensureIdentity updates the reference, the hash and the condition of export, which the caller owns, from the Secret. It creates a
// Secret if the export names none. The error means that it may be tried again; the condition shows the fault, too.
func (r *reconciler) ensureIdentity(ctx context.Context, key client.Key, export *apisv1alpha2.APIExport) error {
	failed := func(reason, format string, args ...any) {
		conditionsv1alpha1.MarkFalse(export, apisv1alpha2.APIExportIdentityValid, reason, conditionsv1alpha1.ConditionSeverityError, format, args...)
	}
	var secret *corev1.Secret
	var err error
	if export.Spec.Identity == nil || export.Spec.Identity.SecretRef == nil {
		if secret, err = r.makeSecret(ctx, key); err != nil {
			failed(apisv1alpha2.IdentityGenerationFailedReason, "the identity could not be created: %v", err)
			return err
		}
		export.Spec.Identity = &apisv1alpha2.Identity{SecretRef: &corev1.SecretReference{Namespace: secret.Namespace, Name: secret.Name}}
	} else {
		ref := export.Spec.Identity.SecretRef
		if secret, err = client.Find[corev1.Secret](ctx, r.client, secrets, client.Key{Cluster: key.Cluster, Namespace: ref.Namespace, Name: ref.Name}); err != nil {
			failed(apisv1alpha2.IdentityVerificationFailedReason, "the identity could not be read: %v", err)
			return err
		}
		if secret == nil {
			failed(apisv1alpha2.IdentityVerificationFailedReason, "secret %s/%s not found", ref.Namespace, ref.Name)
			return nil
		}
	}
	identityKey := secret.Data[apisv1alpha2.SecretKeyAPIExportIdentity]
	if len(identityKey) == 0 {
		failed(apisv1alpha2.IdentityVerificationFailedReason, "secret %s/%s has no data %q", secret.Namespace, secret.Name, apisv1alpha2.SecretKeyAPIExportIdentity)
		return nil
	}
	hash := identity.Hash(identityKey)
	if export.Status.IdentityHash == "" {
		export.Status.IdentityHash = hash
	}
	if export.Status.IdentityHash != hash {
		failed(apisv1alpha2.IdentityVerificationFailedReason, "hash mismatch: secret %s/%s contains identity %s, the export has %s",
			secret.Namespace, secret.Name, hash, export.Status.IdentityHash)
		return nil
	}
	conditionsv1alpha1.MarkTrue(export, apisv1alpha2.APIExportIdentityValid)
	return nil
}

// makeSecret returns the Secret of the export called key in the system's namespace, and creates both if they are missing.
func (r *reconciler) makeSecret(ctx context.Context, key client.Key) (*corev1.Secret, error) {
	at := client.Key{Cluster: key.Cluster, Namespace: apisv1alpha2.IdentitySecretNamespace, Name: key.Name}
	secret, err := client.Find[corev1.Secret](ctx, r.client, secrets, at)
	if secret != nil || err != nil {
		return secret, err
	}
	_, err = r.client.Get(ctx, namespaces, client.Key{Cluster: at.Cluster, Name: at.Namespace})
	if apierrors.IsNotFound(err) {
		_, err = r.client.Create(ctx, namespaces, at.Cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: at.Namespace}})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("making namespace %q in %q: %w", at.Namespace, at.Cluster, err)
	}
	created, err := r.client.Create(ctx, secrets, at.Cluster, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{apisv1alpha2.SecretKeyAPIExportIdentity: identity.NewKey()},
	})
	if err != nil {
		// Also if another writer was faster: the next attempt finds its object.
		return nil, fmt.Errorf("making secret %s: %w", at, err)
	}
	secret, ok := created.(*corev1.Secret)
	if !ok {
		return nil, fmt.Errorf("making secret %s: unexpected type %T", at, created)
	}
	return secret, nil
}
