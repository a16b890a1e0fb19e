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
	content  client.Content
	caBundle func() []byte
}

// incomplete returns the key of a namespace that is not being deleted and lacks something, as far as the watch caches know.
func (c *contents) incomplete(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type == client.Deleted || isTerminating(event.Head) {
		return nil, nil
	}
	key := event.Head.Key()
	for _, o := range []struct{ resource, name string }{{"serviceaccounts", ServiceAccountName}, {"configmaps", RootCAName}} {
		if found, err := c.find(ctx, o.resource, client.Key{Cluster: key.Cluster, Namespace: key.Name, Name: o.name}); err != nil || found == nil {
			return []client.Key{key}, err
		}
	}
	return nil, nil
}

// lostServiceAccount returns the key of a namespace whose ServiceAccount was deleted.
func lostServiceAccount(_ context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type != client.Deleted || event.Head.Name != ServiceAccountName {
		return nil, nil
	}
	return []client.Key{namespaceOf(event.Head)}, nil
}

// lostRootCA returns the key of a namespace whose ConfigMap is missing, or may be wrong. One that a workspace has from the beginning is right;
// when the certificates change, somebody looks into all of them.
func (c *contents) lostRootCA(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Head.Name != RootCAName {
		return nil, nil
	}
	key := namespaceOf(event.Head)
	if event.Type == client.Added {
		ns, err := c.find(ctx, "namespaces", key)
		if err != nil || ns != nil && client.MadeTogether(*ns, event.Head) {
			return nil, err
		}
	}
	return []client.Key{key}, nil
}

func (c *contents) find(ctx context.Context, name string, key client.Key) (*client.Head, error) {
	found, err := c.content.Find(ctx, client.Kind{Resource: resource(name), Namespaced: key.Namespace != ""}, key, false)
	return found, wrap("finding "+name, err)
}

func namespaceOf(h client.Head) client.Key { return client.Key{Cluster: h.Cluster, Name: h.Namespace} }

// reconcile restores the missing objects of one namespace.
func (c *contents) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	ns, err := c.find(ctx, "namespaces", key)
	if err != nil || ns == nil || isTerminating(*ns) {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, errors.Join(c.ensureServiceAccount(ctx, key), c.ensureRootCA(ctx, *ns))
}

func (c *contents) ensureServiceAccount(ctx context.Context, namespace client.Key) error {
	key := client.Key{Cluster: namespace.Cluster, Namespace: namespace.Name, Name: ServiceAccountName}
	found, err := c.find(ctx, "serviceaccounts", key)
	if err != nil || found != nil {
		return err
	}
	_, err = c.client.Create(ctx, resource("serviceaccounts"), key.Cluster, DefaultServiceAccount(key.Namespace))
	return wrap("creating the ServiceAccount", ignoreSettled(err))
}

func (c *contents) ensureRootCA(ctx context.Context, ns client.Head) error {
	bundle := c.caBundle()
	if len(bundle) == 0 {
		return nil
	}
	key := client.Key{Cluster: ns.Cluster, Namespace: ns.Name, Name: RootCAName}
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
