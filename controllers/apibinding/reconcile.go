package apibinding

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

// How long to wait for changes without a watch event.
const (
	// soonest and latest limit the time between two checks of objects that are being deleted.
	soonest = time.Second
	latest  = 10 * time.Second
	// leavingCheck is the time between two looks for objects of a resource that the export does not offer any more.
	leavingCheck = 10 * time.Second
)

// reconcile does one step for one binding, with at most one write.
func (c *Controller) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[apisv1alpha2.APIBinding](ctx, c.Client, bindings, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old == nil {
		c.users.Drop(key)
		return reconcile.Result{}, nil
	}
	c.arrived(key)
	if old.DeletionTimestamp != nil {
		return c.finalize(ctx, key, old)
	}
	defer c.names.Lock(key.Cluster)()
	c.using.RLock()
	defer c.using.RUnlock()
	names := &taken{controller: c, from: c.Live, key: key, binding: old.DeepCopy()}
	if err := c.bind(ctx, names); err != nil {
		return reconcile.Result{}, err
	}
	c.names.Wait(names.holder(), names.wanted...)
	var result reconcile.Result
	if lifecycle.AnyLeaving(names.binding) {
		result.RequeueAfter = leavingCheck
	}
	written, err := c.update(ctx, key, old, names.binding)
	if err != nil || written == nil {
		return result, err
	}
	c.tell(old, names.binding)
	return result, c.names.Wrote(ctx, written)
}

// update writes binding if it differs from old, and returns what is stored then; nil if nothing was written.
func (c *Controller) update(ctx context.Context, key client.Key, old, binding *apisv1alpha2.APIBinding) (client.Object, error) {
	if apiequality.Semantic.DeepEqual(old, binding) {
		return nil, nil
	}
	if err := errors.Join(lifecycle.Check(binding, old), lifecycle.CheckClaims(binding, old)); err != nil {
		return nil, fmt.Errorf("updating APIBinding %s: %w", key, err)
	}
	written, err := c.Client.Update(ctx, bindings, key.Cluster, binding)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("updating APIBinding %s: %w", key, err)
	}
	return written, nil
}
