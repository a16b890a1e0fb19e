package namespace

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/logicalcluster"
)

const (
	// The time between two checks of content that other clients must release is a tenth of the time since the deletion began, but at
	// least leastWait and at most the second constant.
	leastWait = 200 * time.Millisecond
	mostWait  = 30 * time.Second
)

// deletion deletes the content of terminating namespaces.
type deletion struct {
	client  client.Client
	content client.Content
	clock   clock.PassiveClock
}

// terminating returns the key of a namespace that is being deleted.
func terminating(_ context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type == client.Deleted || !isTerminating(event.Head) {
		return nil, nil
	}
	return []client.Key{event.Head.Key()}, nil
}

func isTerminating(h client.Head) bool { return h.DeletionTimestamp != nil }

// reconcile does one step of the deletion of one namespace.
func (d *deletion) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	obj, err := d.client.Get(ctx, resource("namespaces"), key)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the namespace: %w", err)
	}
	ns, ok := obj.(*corev1.Namespace)
	if !ok {
		return reconcile.Result{}, reconcile.TerminalError(fmt.Errorf("the namespace is a %T", obj))
	}
	switch {
	case ns.DeletionTimestamp == nil:
		return reconcile.Result{}, nil
	case len(ns.Spec.Finalizers) == 0 && len(ns.Finalizers) == 0:
		// Another client finalized the namespace before its deletion began.
		err := d.client.Delete(ctx, resource("namespaces"), key, &metav1.Preconditions{UID: &ns.UID})
		return reconcile.Result{}, ignoreGone(err)
	case !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes):
		return reconcile.Result{}, nil
	}
	return d.empty(ctx, key, ns)
}

// empty deletes the content of ns, and removes the finalizer of ns when nothing is left. Nothing comes later: storage creates nothing
// in a namespace whose deletion has begun.
func (d *deletion) empty(ctx context.Context, key client.Key, ns *corev1.Namespace) (reconcile.Result, error) {
	age := d.clock.Since(ns.DeletionTimestamp.Time)
	if left, err := logicalcluster.StandBack(ctx, d.client, key.Cluster, age); left > 0 || err != nil {
		return reconcile.Result{RequeueAfter: left}, err
	}
	remaining, err := d.content.DeleteAll(ctx, client.ContentScope{Cluster: key.Cluster, Namespace: key.Name})
	updated := ns.DeepCopy()
	setConditions(&updated.Status, remaining, err, metav1.NewTime(d.clock.Now()))
	if err != nil || !remaining.Empty() {
		if !apiequality.Semantic.DeepEqual(ns.Status, updated.Status) {
			if _, updateErr := d.client.Update(ctx, resource("namespaces"), key.Cluster, updated); ignoreGone(updateErr) != nil {
				return reconcile.Result{}, fmt.Errorf("reporting what remains: %w", updateErr)
			}
		}
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("deleting the content: %w", err)
		}
		klog.FromContext(ctx).V(4).Info("Content remains in namespace", "remaining", remaining.Message())
		return reconcile.Result{RequeueAfter: min(max(age/10, leastWait), mostWait)}, nil
	}
	updated.Spec.Finalizers = slices.DeleteFunc(updated.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	if _, err := d.client.Update(ctx, resource("namespaces"), key.Cluster, updated); ignoreGone(err) != nil {
		return reconcile.Result{}, fmt.Errorf("removing the finalizer of the namespace: %w", err)
	}
	return reconcile.Result{}, nil
}

// ignoreGone drops errors for a deleted or changed namespace, because in both cases an event follows.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
