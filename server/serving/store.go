package serving

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// SecretName is the Secret of the CA, in namespace kube-system of the cluster system:admin.
const SecretName = "annex-serving-ca"

// Keys of the Secret: certificates and keys, both in PEM format and in the same order.
const (
	certificatesKey = "ca.crt"
	keysKey         = "ca.key"
)

// maxAttempts is how many times another replica may write first.
const maxAttempts = 5

const descriptionKey = "kubernetes.io/description"

// store stores the CAs for all replicas.
type store struct {
	live   client.Reader
	writer client.Writer
}

func secrets() schema.GroupResource { return corev1.Resource("secrets") }

func secretKey() client.Key {
	return client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: metav1.NamespaceSystem, Name: SecretName}
}

// load returns the current CAs. It makes the first CA, and later the next one when it is due. If several replicas do so at the same
// time, one of them succeeds, and the others return its CAs.
func (s *store) load(ctx context.Context, now time.Time) (authorities, error) {
	for attempt := 1; ; attempt++ {
		secret, err := client.Find[corev1.Secret](ctx, s.live, secrets(), secretKey())
		if err != nil {
			return nil, fmt.Errorf("reading the CA of serving certificates: %w", err)
		}
		var known authorities
		if secret != nil {
			if known, err = parse(secret.Data[certificatesKey], secret.Data[keysKey]); err != nil {
				return nil, fmt.Errorf("reading the CA of serving certificates in Secret %s: %w; delete it to get a new CA", secretKey(), err)
			}
			if !known.due(now) {
				return known.unexpired(now), nil
			}
		}
		renewed, err := known.next(now)
		if err != nil {
			return nil, err
		}
		err = s.save(ctx, secret, renewed)
		switch {
		case err == nil:
			return renewed, nil
		case attempt == maxAttempts || !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("writing the CA of serving certificates: %w", err)
		}
	}
}

// save replaces the CAs in secret, which is nil if there are none. AlreadyExists, Conflict and NotFound mean that another replica was
// faster, or that somebody deleted the Secret.
func (s *store) save(ctx context.Context, secret *corev1.Secret, as authorities) error {
	certificates, keys, err := as.encode()
	if err != nil {
		return err
	}
	data := map[string][]byte{certificatesKey: certificates, keysKey: keys}
	if secret != nil {
		secret = secret.DeepCopy()
		secret.Data = data
		_, err = s.writer.Update(ctx, secrets(), logicalcluster.SystemAdmin, secret)
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}
	if _, err := s.writer.Create(ctx, corev1.Resource("namespaces"), logicalcluster.SystemAdmin, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", namespace.Name, err)
	}
	_, err = s.writer.Create(ctx, secrets(), logicalcluster.SystemAdmin, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   metav1.NamespaceSystem,
			Name:        SecretName,
			Annotations: map[string]string{descriptionKey: "Signs the serving certificates of all replicas. Delete it to get a new CA; clients must learn its certificate."},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	})
	return err
}
