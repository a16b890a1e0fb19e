package workspaceaccess

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// secretName returns the name of the Secret of access.
func secretName(access *annexv1alpha1.WorkspaceAccess) string {
	if access.Spec.SecretName != "" {
		return access.Spec.SecretName
	}
	return access.Name
}

// write makes sure that the Secret has valid credentials, and returns when to look again.
func (r *reconciler) write(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess, at place, account *corev1.ServiceAccount) (time.Duration, error) {
	name := secretName(access)
	found, err := at.find(ctx, key.Namespace, name)
	if err != nil {
		return unwritten(access, at, err)
	}
	if found != nil && !marked(found, access) {
		failed(access, annexv1alpha1.SecretWritten, annexv1alpha1.ConflictReason,
			"Secret %s exists and was not created for this WorkspaceAccess, so it is not changed. Delete it, or choose another name", name)
		forget(access)
		return recheck, nil
	}
	c := r.credentials(access)
	now := r.Clock.Now()
	if found != nil && found.Annotations[annexv1alpha1.WorkspaceAccessChecksumAnnotationKey] == c.checksum(account, found.Data, found.Labels) && !due(access, now) {
		return written(access, name, now), nil
	}
	life := time.Duration(ptr.Deref(access.Spec.ExpirationSeconds, annexv1alpha1.DefaultAccessSeconds)) * time.Second
	token, expires, err := r.Tokens.Issue(ctx, acceptedFor(access), account, now, life)
	if err != nil {
		return 0, fmt.Errorf("issuing the token of WorkspaceAccess %s: %w", key, err)
	}
	content, err := c.content(token)
	if err != nil {
		return 0, fmt.Errorf("preparing the Secret of WorkspaceAccess %s: %w", key, err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name}}
	if found != nil {
		secret = found.DeepCopy()
	} else {
		secret.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: annexv1alpha1.SchemeGroupVersion.String(), Kind: "WorkspaceAccess", Name: access.Name, UID: access.UID, Controller: ptr.To(true),
		}}
	}
	mark(secret, key, access)
	c.apply(secret, content)
	secret.Annotations[annexv1alpha1.WorkspaceAccessChecksumAnnotationKey] = c.checksum(account, secret.Data, secret.Labels)
	if found != nil {
		err = at.update(ctx, secret)
	} else {
		err = at.create(ctx, secret)
	}
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return time.Second, nil
	case err != nil:
		return unwritten(access, at, err)
	}
	half := expires.Sub(now) / 2
	access.Status.ExpirationTime, access.Status.RenewalTime = ptr.To(metav1.NewTime(expires)), ptr.To(metav1.NewTime(now.Add(half)))
	access.Status.URL = c.url
	return written(access, name, now), nil
}

// due reports whether the token must be renewed.
func due(access *annexv1alpha1.WorkspaceAccess, now time.Time) bool {
	return access.Status.RenewalTime == nil || !now.Before(access.Status.RenewalTime.Time) || access.Status.ObservedGeneration != access.Generation
}

// written sets the condition, and returns when to look again.
func written(access *annexv1alpha1.WorkspaceAccess, name string, now time.Time) time.Duration {
	access.Status.SecretName = name
	conditionsv1alpha1.MarkTrue(access, annexv1alpha1.SecretWritten)
	return min(recheck, max(access.Status.RenewalTime.Sub(now), time.Second))
}

// unwritten sets the condition for an error of the place of the Secret. Only an error that may pass by itself soon is returned.
func unwritten(access *annexv1alpha1.WorkspaceAccess, at place, err error) (time.Duration, error) {
	reason, message := unwritable(at, err)
	if reason == "" {
		return elsewhere, nil
	}
	failed(access, annexv1alpha1.SecretWritten, reason, "%s", message)
	if reason == annexv1alpha1.HostUnavailableReason {
		return 0, fmt.Errorf("keeping the Secret of a WorkspaceAccess: %w", err)
	}
	return recheck, nil
}

// forget clears what the status says about the Secret.
func forget(access *annexv1alpha1.WorkspaceAccess) {
	access.Status.SecretName, access.Status.URL, access.Status.ExpirationTime, access.Status.RenewalTime = "", "", nil, nil
}

// withdraw deletes the Secret, because the credentials in it are no longer valid.
func (r *reconciler) withdraw(ctx context.Context, access *annexv1alpha1.WorkspaceAccess, at place) error {
	if err := discard(ctx, access, at); err != nil {
		_, err := unwritten(access, at, err)
		return err
	}
	forget(access)
	conditionsv1alpha1.Delete(access, annexv1alpha1.SecretWritten)
	return nil
}

// discard deletes the Secret if it was made for access.
func discard(ctx context.Context, access *annexv1alpha1.WorkspaceAccess, at place) error {
	secret, err := at.find(ctx, access.Namespace, secretName(access))
	if err != nil || secret == nil || !marked(secret, access) {
		return err
	}
	return at.remove(ctx, secret)
}

// release deletes everything that was made for access, and then removes the finalizer. Where the server may no longer write on the host, the
// Secret stays behind with a token that is not valid any more: a namespace of the host must not wait for that.
func (r *reconciler) release(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess, at place) error {
	if !slices.Contains(access.Finalizers, annexv1alpha1.WorkspaceAccessFinalizer) {
		return nil
	}
	for _, cluster := range []logicalcluster.Name{acceptedFor(access), logicalcluster.Name(access.Status.ClusterName)} {
		if err := r.revoke(ctx, cluster, access); err != nil {
			return err
		}
	}
	if err := discard(ctx, access, at); err != nil {
		if reason, _ := unwritable(at, err); reason == annexv1alpha1.HostUnavailableReason {
			return fmt.Errorf("deleting the Secret of WorkspaceAccess %s: %w", key, err)
		}
		klog.FromContext(ctx).Info("The Secret of a WorkspaceAccess stays on the host; its token is revoked", "secret", secretName(access), "reason", err.Error())
	}
	done := access.DeepCopy()
	done.Finalizers = slices.DeleteFunc(done.Finalizers, func(f string) bool { return f == annexv1alpha1.WorkspaceAccessFinalizer })
	if _, err := r.Client.Update(ctx, accesses, key.Cluster, done); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the finalizer of WorkspaceAccess %s: %w", key, err)
	}
	return nil
}

// checksum returns what tells whether data and labels are what c has written for account. It reveals nothing: a token cannot be guessed.
func (c *credentials) checksum(account *corev1.ServiceAccount, data map[string][]byte, labels map[string]string) string {
	h := sha256.New()
	add := func(parts ...string) {
		for _, part := range parts {
			fmt.Fprintf(h, "%d:%s", len(part), part)
		}
	}
	add(string(account.UID), c.name, c.url, string(c.caData), string(c.format))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if slices.Contains(ownKeys, key) {
			add(key, string(data[key]))
		}
	}
	add(labels[argoLabel])
	return hex.EncodeToString(h.Sum(nil))
}
