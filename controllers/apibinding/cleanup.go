package apibinding

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// onlyBound returns the definition itself if it is in system:bound-crds, because each of them is checked at the start.
func onlyBound(_ context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	if key.Cluster != logicalcluster.SystemBoundCRDs || event.Type == client.Deleted {
		return nil, nil
	}
	return []client.Key{key}, nil
}

// released returns the definitions that a binding used until now and no longer uses.
func (c *Controller) released(_ context.Context, event client.Event) ([]client.Key, error) {
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil, nil
	}
	key := client.KeyOf(binding)
	if event.Type != client.Deleted {
		return c.definers.Set(key, c.definitionsOf(binding)...), nil
	}
	c.definers.Drop(key)
	return c.definitionsOf(binding), nil
}

// cleanUp deletes a definition in system:bound-crds that no binding uses.
func (c *Controller) cleanUp(ctx context.Context, key client.Key) (reconcile.Result, error) {
	if used, err := c.isUsed(ctx, c.Client, key); used || err != nil {
		return reconcile.Result{}, err
	}
	obj, err := c.Client.Get(ctx, definitions, key)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the definition %s: %w", key, err)
	}
	c.using.Lock()
	defer c.using.Unlock()
	if until, ok := c.isExpected(key.Name); ok {
		return reconcile.Result{RequeueAfter: until}, nil
	}
	if used, err := c.isUsed(ctx, c.Live, key); used || err != nil {
		return reconcile.Result{}, err
	}
	uid := obj.GetUID()
	err = c.Client.Delete(ctx, definitions, key, &metav1.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("deleting the definition %s: %w", key, err)
	}
	return reconcile.Result{}, nil
}

// isUsed reports whether a binding uses the definition. It checks the index first. Before it reports that a definition is unused, it
// checks all bindings, because the index may be incomplete at the start.
func (c *Controller) isUsed(ctx context.Context, from client.Reader, key client.Key) (bool, error) {
	_, indexed := c.definers.Any(key, func(user client.Key) bool {
		binding, err := client.Find[apisv1alpha2.APIBinding](ctx, from, bindings, user)
		return err == nil && binding != nil && uses(binding, key.Name)
	})
	if indexed {
		return true, nil
	}
	all, err := client.List[apisv1alpha2.APIBinding](ctx, from, bindings, client.Scope{})
	if err != nil {
		return false, err
	}
	for _, binding := range all {
		if uses(binding, key.Name) {
			return true, nil
		}
	}
	return false, nil
}

// uses reports whether binding has bound the schema with the given UID.
func uses(binding *apisv1alpha2.APIBinding, uid string) bool {
	for _, bound := range binding.Status.BoundResources {
		if bound.Schema.UID == uid {
			return true
		}
	}
	return false
}
