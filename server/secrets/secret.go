package secrets

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// maxAttempts is how often another replica may be faster.
const maxAttempts = 5

const descriptionKey = "kubernetes.io/description"

// Resource is the resource of Secrets.
func Resource() schema.GroupResource { return corev1.Resource("secrets") }

// Key returns the place of the Secret called name.
func Key(name string) client.Key {
	return client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: metav1.NamespaceSystem, Name: name}
}

// Secret is one Secret that all replicas share.
type Secret struct {
	Name string
	// Description tells people who find the Secret what it is for.
	Description string
	// Live must see every acknowledged write.
	Live   client.Reader
	Writer client.Writer
}

// Settle calls next with the stored data, nil when there is no Secret, and stores what next returns; nil keeps what is stored.
// When another replica was faster, next is called again with what that one wrote, so its last call is the one that counts.
// An error of next is returned as it is.
func (s *Secret) Settle(ctx context.Context, next func(stored map[string][]byte) (map[string][]byte, error)) error {
	key := Key(s.Name)
	for attempt := 1; ; attempt++ {
		secret, err := client.Find[corev1.Secret](ctx, s.Live, Resource(), key)
		if err != nil {
			return fmt.Errorf("reading Secret %s: %w", key, err)
		}
		var stored map[string][]byte
		if secret != nil {
			stored = secret.DeepCopy().Data
			if stored == nil {
				stored = map[string][]byte{}
			}
		}
		data, err := next(stored)
		if err != nil || data == nil {
			return err
		}
		err = s.write(ctx, secret, data)
		switch {
		case err == nil:
			return nil
		case attempt == maxAttempts || !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err):
			return fmt.Errorf("writing Secret %s: %w", key, err)
		}
	}
}

// write stores data in place of what old holds; old is nil when there is no Secret. AlreadyExists, Conflict and NotFound say
// that another replica was faster, or that somebody deleted the Secret or its namespace.
func (s *Secret) write(ctx context.Context, old *corev1.Secret, data map[string][]byte) error {
	if old != nil {
		secret := old.DeepCopy()
		secret.Data = data
		_, err := s.Writer.Update(ctx, Resource(), logicalcluster.SystemAdmin, secret)
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}
	if _, err := s.Writer.Create(ctx, corev1.Resource("namespaces"), logicalcluster.SystemAdmin, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", namespace.Name, err)
	}
	_, err := s.Writer.Create(ctx, Resource(), logicalcluster.SystemAdmin, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   metav1.NamespaceSystem,
			Name:        s.Name,
			Annotations: map[string]string{descriptionKey: s.Description},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	})
	return err
}
