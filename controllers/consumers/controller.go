package consumers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// interval is the shortest time between two writes of an export.
const interval = time.Second

// Reasons of Events about APIExports.
const (
	bindingsRefused = "BindingsRefused"
	consumersBehind = "ConsumersBehind"
)

var (
	exports  = apisv1alpha2.Resource("apiexports")
	bindings = apisv1alpha2.Resource("apibindings")
)

// Consumers knows the consumers of all exports while its Specs run.
type Consumers struct {
	reconciler
}

// New returns Consumers. Run its Specs with multicluster.Run.
func New(c multicluster.Config) *Consumers { return &Consumers{reconciler{Config: c}} }

// Specs describes the controller.
func (c *Consumers) Specs() []multicluster.Spec {
	return []multicluster.Spec{{
		Name:      "apiexport-consumers",
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){c.follow},
		Reconcile: c.reconcile,
	}}
}

type reconciler struct {
	multicluster.Config
	index   index
	changes changes
}

// follow keeps the index, and queues exports whose consumers have changed, until ctx ends.
func (r *reconciler) follow(ctx context.Context, add func(client.Key, time.Duration)) {
	err := r.Client.Watch(ctx, bindings, func(event client.Event) {
		for _, export := range r.observe(event) {
			add(export, interval) // once, whatever comes until then
			r.changes.tell(export)
		}
	})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "Consumers of APIExports cannot be followed", "resource", bindings)
	}
}

// observe takes note of an event, and returns the exports that it changes.
func (r *reconciler) observe(event client.Event) []client.Key {
	switch event.Type {
	case client.Reset:
		r.index.reset()
		return nil
	case client.Synced:
		return r.index.synced()
	}
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil
	}
	if s, known := stateOf(binding, r.IsBound); known && event.Type != client.Deleted {
		return r.index.set(client.KeyOf(binding), &s)
	}
	return r.index.set(client.KeyOf(binding), nil)
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	now, ready := r.index.summary(key)
	if !ready {
		return reconcile.Result{RequeueAfter: interval}, nil
	}
	old, err := client.Find[apisv1alpha2.APIExport](ctx, r.Client, exports, key)
	if err != nil || old == nil || old.DeletionTimestamp != nil || r.leavesOut(key, old) {
		return reconcile.Result{}, err
	}
	before := old.Status.Consumers
	if before == nil {
		before = &apisv1alpha2.APIExportConsumers{}
	}
	if apiequality.Semantic.DeepEqual(before, now) {
		return reconcile.Result{}, nil
	}
	export := old.DeepCopy()
	export.Status.Consumers = now
	if _, err := r.Client.Update(ctx, exports, key.Cluster, export); err != nil {
		if apierrors.IsNotFound(err) {
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("updating the consumers of APIExport %s: %w", key, err)
	}
	r.tell(export, before, now)
	return reconcile.Result{}, nil
}

// leavesOut reports whether typed storage serves what export offers.
func (r *reconciler) leavesOut(key client.Key, export *apisv1alpha2.APIExport) bool {
	if key.Cluster != logicalcluster.Root || r.IsBound == nil {
		return false
	}
	for _, resource := range export.Spec.Resources {
		if r.IsBound(schema.GroupResource{Group: resource.Group, Resource: resource.Name}) {
			return true
		}
	}
	return false
}

// tell records Events about what has become worse. Their messages hold no numbers, so that they are counted and not repeated.
func (r *reconciler) tell(export *apisv1alpha2.APIExport, before, now *apisv1alpha2.APIExportConsumers) {
	kind := apisv1alpha2.SchemeGroupVersion.WithKind("APIExport")
	if now.Behind > before.Behind {
		r.Tell(export, kind, corev1.EventTypeWarning, consumersBehind,
			"workspaces could not follow the last change of the APIExport and use the previous schemas: status.consumers says how many and why")
	}
	if now.Pending > before.Pending && len(now.Problems) > len(before.Problems) {
		r.Tell(export, kind, corev1.EventTypeWarning, bindingsRefused, "APIBindings could not bind the APIExport: status.consumers says how many and why")
	}
}
