package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
)

const (
	// ServiceAccountName is the ServiceAccount that every namespace has.
	ServiceAccountName = "default"
	// RootCAName is the ConfigMap that every namespace has.
	RootCAName = "kube-root-ca.crt"
	rootCAKey  = "ca.crt"

	// descriptionKey is the annotation that describes an object to users.
	descriptionKey = "kubernetes.io/description"
)

// DefaultServiceAccount returns the ServiceAccount that every namespace has.
func DefaultServiceAccount(namespace string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ServiceAccountName}}
}

// RootCA returns the ConfigMap that every namespace has; bundle contains certificates in PEM format.
func RootCA(namespace string, bundle []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      RootCAName,
			Annotations: map[string]string{
				descriptionKey: "Contains the CA bundle that verifies the certificate of this API server.",
			},
		},
		Data: rootCAData(bundle),
	}
}

// Initial returns the objects that every namespace has; without a ConfigMap while there is no bundle.
func Initial(namespace string, bundle []byte) []client.Initial {
	objects := []client.Initial{{Resource: resource("serviceaccounts"), Object: DefaultServiceAccount(namespace)}}
	if len(bundle) > 0 {
		objects = append(objects, client.Initial{Resource: resource("configmaps"), Object: RootCA(namespace, bundle)})
	}
	return objects
}

func rootCAData(bundle []byte) map[string]string { return map[string]string{rootCAKey: string(bundle)} }

// contents maintains the objects that every active namespace has.
type contents struct {
	client   client.Client
	caBundle func() []byte
}

// active returns the key of a namespace that is not being deleted.
func active(_ context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Deleted || event.Object.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	return []client.Key{client.KeyOf(event.Object)}, nil
}

// lostServiceAccount returns the key of a namespace whose ServiceAccount was deleted.
func (c *contents) lostServiceAccount(_ context.Context, event client.Event) ([]client.Key, error) {
	if event.Type != client.Deleted || event.Object.GetName() != ServiceAccountName {
		return nil, nil
	}
	return namespaceOf(event)
}

// lostRootCA returns the key of a namespace whose ConfigMap is missing or wrong.
func (c *contents) lostRootCA(_ context.Context, event client.Event) ([]client.Key, error) {
	if event.Object.GetName() != RootCAName {
		return nil, nil
	}
	if cm, ok := event.Object.(*corev1.ConfigMap); ok && event.Type != client.Deleted && maps.Equal(cm.Data, rootCAData(c.caBundle())) {
		return nil, nil
	}
	return namespaceOf(event)
}

func namespaceOf(event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	return []client.Key{{Cluster: key.Cluster, Name: key.Namespace}}, nil
}

// reconcile restores the missing objects of one namespace.
func (c *contents) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	ns, err := c.client.Get(ctx, resource("namespaces"), key)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the namespace: %w", err)
	}
	if ns.GetDeletionTimestamp() != nil {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, errors.Join(c.ensureServiceAccount(ctx, key), c.ensureRootCA(ctx, key))
}

func (c *contents) ensureServiceAccount(ctx context.Context, namespace client.Key) error {
	key := client.Key{Cluster: namespace.Cluster, Namespace: namespace.Name, Name: ServiceAccountName}
	_, err := c.client.Get(ctx, resource("serviceaccounts"), key)
	if !apierrors.IsNotFound(err) {
		return wrap("reading the ServiceAccount", err)
	}
	_, err = c.client.Create(ctx, resource("serviceaccounts"), key.Cluster, DefaultServiceAccount(key.Namespace))
	return wrap("creating the ServiceAccount", ignoreSettled(err))
}

func (c *contents) ensureRootCA(ctx context.Context, namespace client.Key) error {
	bundle := c.caBundle()
	if len(bundle) == 0 {
		return nil
	}
	key := client.Key{Cluster: namespace.Cluster, Namespace: namespace.Name, Name: RootCAName}
	obj, err := c.client.Get(ctx, resource("configmaps"), key)
	if apierrors.IsNotFound(err) {
		_, err = c.client.Create(ctx, resource("configmaps"), key.Cluster, RootCA(key.Namespace, bundle))
		return wrap("creating the ConfigMap", ignoreSettled(err))
	}
	if err != nil {
		return wrap("reading the ConfigMap", err)
	}
	cm, ok := obj.(*corev1.ConfigMap)
	if !ok {
		return reconcile.TerminalError(fmt.Errorf("the ConfigMap is a %T", obj))
	}
	if cm.DeletionTimestamp != nil || maps.Equal(cm.Data, rootCAData(bundle)) {
		return nil
	}
	if cm.Immutable != nil && *cm.Immutable {
		// The ConfigMap is immutable, so delete it. The event of the deletion triggers another reconcile, which creates a new one.
		err := c.client.Delete(ctx, resource("configmaps"), key, &metav1.Preconditions{UID: &cm.UID})
		return wrap("deleting the frozen ConfigMap", ignoreGone(err))
	}
	updated := cm.DeepCopy()
	updated.Data = rootCAData(bundle)
	_, err = c.client.Update(ctx, resource("configmaps"), key.Cluster, updated)
	return wrap("updating the ConfigMap", ignoreGone(err))
}

// ignoreSettled drops errors of a creation that is no longer needed: another client was faster, or the namespace is being deleted.
func ignoreSettled(err error) error {
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	return err
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
