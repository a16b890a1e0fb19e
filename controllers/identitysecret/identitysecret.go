package identitysecret

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

var (
	secrets    = schema.GroupResource{Group: corev1.GroupName, Resource: "secrets"}
	namespaces = schema.GroupResource{Group: corev1.GroupName, Resource: "namespaces"}
)

// Outcome is what [Ensure] found.
type Outcome struct {
	// Ref is where the identity is.
	Ref *corev1.SecretReference
	// Hash is the hash of the identity; empty if it could not be read.
	Hash string
	// Reason is that of a condition, with a message; empty if the identity is valid.
	Reason, Message string
}

func failed(ref *corev1.SecretReference, reason, format string, args ...any) Outcome {
	return Outcome{Ref: ref, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Ensure returns the identity of the object called key, which names the Secret ref, and whose hash was known before; both may be empty. It
// creates a Secret if the object names none. The error means that it may be tried again; the outcome shows the fault, too.
func Ensure(ctx context.Context, c client.Client, key client.Key, ref *corev1.SecretReference, known string) (Outcome, error) {
	var secret *corev1.Secret
	var err error
	if ref == nil {
		if secret, err = makeSecret(ctx, c, key); err != nil {
			return failed(nil, apisv1alpha2.IdentityGenerationFailedReason, "the identity could not be created: %v", err), err
		}
		ref = &corev1.SecretReference{Namespace: secret.Namespace, Name: secret.Name}
	} else {
		if secret, err = client.Find[corev1.Secret](ctx, c, secrets, client.Key{Cluster: key.Cluster, Namespace: ref.Namespace, Name: ref.Name}); err != nil {
			return failed(ref, apisv1alpha2.IdentityVerificationFailedReason, "the identity could not be read: %v", err), err
		}
		if secret == nil {
			return failed(ref, apisv1alpha2.IdentityVerificationFailedReason, "secret %s/%s not found", ref.Namespace, ref.Name), nil
		}
	}
	value := secret.Data[apisv1alpha2.SecretKeyAPIExportIdentity]
	if len(value) == 0 {
		return failed(ref, apisv1alpha2.IdentityVerificationFailedReason, "secret %s/%s has no data %q", ref.Namespace, ref.Name, apisv1alpha2.SecretKeyAPIExportIdentity), nil
	}
	hash := identity.Hash(value)
	if known != "" && known != hash {
		return failed(ref, apisv1alpha2.IdentityVerificationFailedReason, "hash mismatch: secret %s/%s contains identity %s, the object has %s",
			ref.Namespace, ref.Name, hash, known), nil
	}
	return Outcome{Ref: ref, Hash: hash}, nil
}

// makeSecret returns the Secret of the object called key in the system's namespace, and creates both if they are missing.
func makeSecret(ctx context.Context, c client.Client, key client.Key) (*corev1.Secret, error) {
	at := client.Key{Cluster: key.Cluster, Namespace: apisv1alpha2.IdentitySecretNamespace, Name: key.Name}
	secret, err := client.Find[corev1.Secret](ctx, c, secrets, at)
	if secret != nil || err != nil {
		return secret, err
	}
	_, err = c.Get(ctx, namespaces, client.Key{Cluster: at.Cluster, Name: at.Namespace})
	if apierrors.IsNotFound(err) {
		_, err = c.Create(ctx, namespaces, at.Cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: at.Namespace}})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("making namespace %q in %q: %w", at.Namespace, at.Cluster, err)
	}
	created, err := c.Create(ctx, secrets, at.Cluster, &corev1.Secret{
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
