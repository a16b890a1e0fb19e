package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// SecretName is the Secret of the tokens that replicas share, in namespace kube-system of the cluster system:admin. Each key is
// an administrator.
const SecretName = "annex-administrators"

// maxAttempts is how many times another replica may write first.
const maxAttempts = 5

const descriptionKey = "kubernetes.io/description"

func secrets() schema.GroupResource { return corev1.Resource("secrets") }

// Share makes all replicas on one etcd use the same tokens, so that the kubeconfig of each replica is valid at all of them. The first
// replica stores its own tokens; the others use the stored tokens instead of their own. Call Share before [Files.Write], and before
// the first request is served. live must see every acknowledged write.
func (f *Files) Share(ctx context.Context, live client.Reader, writer client.Writer) error {
	if f.rootDir == "" {
		return nil
	}
	key := client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: metav1.NamespaceSystem, Name: SecretName}
	for attempt := 1; ; attempt++ {
		secret, err := client.Find[corev1.Secret](ctx, live, secrets(), key)
		if err != nil {
			return fmt.Errorf("reading the tokens of the administrators: %w", err)
		}
		if secret != nil {
			return f.take(secret)
		}
		err = f.store(ctx, writer)
		switch {
		case err == nil:
			return nil
		case attempt == maxAttempts || !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err):
			return fmt.Errorf("storing the tokens of the administrators: %w", err)
		}
	}
}

// take uses the tokens of secret.
func (f *Files) take(secret *corev1.Secret) error {
	shared := map[string]string{}
	var taken tokens
	same := true
	for _, u := range administrators() {
		value := strings.TrimSpace(string(secret.Data[u.Name]))
		if value == "" {
			return fmt.Errorf("reading the tokens of the administrators: Secret %s/%s of %s has none for %s; delete it to get new ones",
				metav1.NamespaceSystem, SecretName, logicalcluster.SystemAdmin, u.Name)
		}
		shared[u.Name] = value
		same = same && f.secrets[u.Name] == value
		taken = append(taken, token{hash: sha256.Sum256([]byte(value)), user: u})
	}
	f.secrets, f.tokens, f.known = shared, taken, f.known && same
	return nil
}

// store writes the Secret. AlreadyExists means that another replica was faster, NotFound that somebody deleted the namespace.
func (f *Files) store(ctx context.Context, writer client.Writer) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}
	if _, err := writer.Create(ctx, corev1.Resource("namespaces"), logicalcluster.SystemAdmin, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", namespace.Name, err)
	}
	data := map[string][]byte{}
	for name, value := range f.secrets {
		data[name] = []byte(value)
	}
	_, err := writer.Create(ctx, secrets(), logicalcluster.SystemAdmin, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   metav1.NamespaceSystem,
			Name:        SecretName,
			Annotations: map[string]string{descriptionKey: "Tokens of the administrators in the admin kubeconfig, the same at all replicas. To replace them, change them here and restart the replicas."},
		},
		Type: corev1.SecretTypeOpaque,
		Data: data,
	})
	return err
}
