package hostnamespace

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// interval is the pause between two looks at a namespace of the host.
const interval = 10 * time.Minute

var namespaces = schema.GroupResource{Resource: "namespaces"}

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	// Workspace is the host workspace.
	Workspace logicalcluster.Path
	// Host reads namespaces of the host.
	Host corev1client.NamespacesGetter
}

// Specs returns the controller.
func Specs(c Config) []multicluster.Spec {
	return []multicluster.Spec{{
		Name:      "host-namespace",
		Watches:   []multicluster.Watch{{Resource: namespaces, Content: c.Content, HeadKeys: ofHost}},
		Reconcile: c.reconcile,
	}}
}

// ofHost returns the key of a Namespace that was created for a namespace of the host.
func ofHost(_ context.Context, event client.HeadEvent) ([]client.Key, error) {
	h := event.Head
	if event.Type == client.Deleted || h.Labels[annexv1alpha1.HostNamespaceLabelKey] == "" || h.DeletionTimestamp != nil {
		return nil, nil
	}
	return []client.Key{{Cluster: h.Cluster, Name: h.Name}}, nil
}

// reconcile deletes a Namespace whose namespace of the host is gone. Elsewhere than in the host workspace, the label means nothing: anybody can
// write it, and must learn nothing about the host.
func (c *Config) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	if in, err := In(ctx, c.Resolver, c.Workspace, key.Cluster); err != nil || !in {
		return reconcile.Result{}, err
	}
	ns, err := client.Find[corev1.Namespace](ctx, c.Client, namespaces, key)
	if err != nil || ns == nil || ns.DeletionTimestamp != nil || ns.Labels[annexv1alpha1.HostNamespaceLabelKey] == "" {
		return reconcile.Result{}, err
	}
	outdated, err := gone(ctx, c.Host, key.Name, types.UID(ns.Labels[annexv1alpha1.HostNamespaceLabelKey]))
	if err != nil {
		return reconcile.Result{}, err
	}
	if !outdated {
		return reconcile.Result{RequeueAfter: interval}, nil
	}
	if err := c.Client.Delete(ctx, namespaces, key, &metav1.Preconditions{UID: &ns.UID}); err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("deleting namespace %s of the host workspace: %w", key.Name, err)
	}
	return reconcile.Result{}, nil
}

// In reports whether cluster is the host workspace, whose path is workspace; empty for none.
func In(ctx context.Context, resolver multicluster.Resolver, workspace logicalcluster.Path, cluster logicalcluster.Name) (bool, error) {
	if workspace.Empty() {
		return false, nil
	}
	host, found, err := resolver.Resolve(ctx, workspace)
	if err != nil {
		return false, fmt.Errorf("finding the host workspace: %w", err)
	}
	return found && host == cluster, nil
}

// Of returns the UID of the namespace of the host that obj belongs to; empty if it belongs to none.
func Of(obj metav1.Object) types.UID {
	return types.UID(obj.GetAnnotations()[annexv1alpha1.HostNamespaceUIDAnnotationKey])
}

// Gone reports whether the namespace of the host that obj belongs to is gone, or being deleted. A namespace of the same name that was created
// later is another one. The error is that of the host.
func Gone(ctx context.Context, host corev1client.NamespacesGetter, obj metav1.Object) (bool, error) {
	return gone(ctx, host, obj.GetNamespace(), Of(obj))
}

func gone(ctx context.Context, host corev1client.NamespacesGetter, name string, uid types.UID) (bool, error) {
	ns, err := host.Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading namespace %s of the host: %w", name, err)
	}
	return ns.UID != uid || ns.DeletionTimestamp != nil, nil
}
