package rollout

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/consumers"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// workers is how many rollouts are worked on at once. Validation takes processor time.
	workers = 2
	// interval is the shortest time between two writes of numbers, and between two looks at what takes time without an event.
	interval = time.Second
	// rest is how many times longer than a look at all consumers the time until the next one is: it is more work for more of them.
	rest = 4
	// gathering is how long a change of consumers waits for more of them.
	gathering = 50 * time.Millisecond
)

var (
	rollouts    = annexv1alpha1.Resource("apiexportrollouts")
	exports     = apisv1alpha2.Resource("apiexports")
	bindings    = apisv1alpha2.Resource("apibindings")
	schemas     = apisv1alpha1.Resource("apiresourceschemas")
	conversions = apisv1alpha1.Resource("apiconversions")
)

// Config contains the dependencies of the controller. All fields are required.
type Config struct {
	multicluster.Config
	// Consumers knows the consumers of exports.
	Consumers *consumers.Consumers
	// Gate is what bindings pass.
	Gate *Gate
	// Checker validates what consumers store.
	Checker Checker
}

// Specs describes the controller.
func Specs(c Config) []multicluster.Spec {
	r := newReconciler(c)
	return []multicluster.Spec{{
		Name:    "apiexportrollout",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: rollouts, Keys: r.forRollout},
			{Resource: exports},
			{Resource: schemas, Keys: r.forSchema},
		},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){c.Consumers.Feed(gathering)},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	Config
	now func() time.Time

	mu    sync.Mutex
	memos map[client.Key]*memo
}

// memo is what is remembered of a rollout that exists. One worker uses it at a time.
type memo struct {
	// written is when the status was written last.
	written time.Time
	// looked is when all consumers were looked at last, and took how long that took.
	looked time.Time
	took   time.Duration
	// rechecked is when consumers that had failed were last to be validated again, at that generation of the spec; again are those that are left.
	rechecked  time.Time
	generation int64
	again      []client.Key
	// check is a validation that is not complete; nil if there is none.
	check *progress
}

func newReconciler(c Config) *reconciler {
	return &reconciler{Config: c, now: time.Now, memos: map[client.Key]*memo{}}
}

func (r *reconciler) memo(key client.Key) *memo {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memos[key] == nil {
		r.memos[key] = &memo{}
	}
	return r.memos[key]
}

func (r *reconciler) forget(key client.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.memos, key)
}

// forRollout returns the key of a rollout. If it is gone, consumers that it held back follow their export.
func (r *reconciler) forRollout(_ context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	if event.Type == client.Deleted {
		r.Gate.close(key)
		all, _ := r.Consumers.Of(key)
		for _, alike := range all {
			for _, binding := range alike.Bindings {
				r.Gate.look(binding)
			}
		}
	}
	return []client.Key{key}, nil
}

// forSchema returns the rollouts that may wait for a schema that was created or deleted. Schemas never change.
func (r *reconciler) forSchema(ctx context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Modified {
		return nil, nil
	}
	key := client.KeyOf(event.Object)
	all, err := client.List[annexv1alpha1.APIExportRollout](ctx, r.Client, rollouts, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, rollout := range all {
		if slices.ContainsFunc(rollout.Status.Resources, func(res annexv1alpha1.RolloutResource) bool { return res.From == key.Name || res.To == key.Name }) {
			keys = append(keys, client.KeyOf(rollout))
		}
	}
	return keys, nil
}

// reconcile does one step for one rollout.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[annexv1alpha1.APIExportRollout](ctx, r.Client, rollouts, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old == nil {
		r.Gate.close(key)
		r.forget(key)
		return reconcile.Result{}, nil
	}
	export, err := client.Find[apisv1alpha2.APIExport](ctx, r.Client, exports, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	rollout := old.DeepCopy()
	rollout.Status.ObservedGeneration = rollout.Generation
	if !lifecycle.CanBeBound(export) {
		r.Gate.close(key)
		waits(rollout, annexv1alpha1.RolloutExportNotFoundReason, conditionsv1alpha1.ConditionSeverityWarning, "there is no APIExport of this name in this workspace, or it has no identity yet")
		return reconcile.Result{}, r.write(ctx, key, old, rollout)
	}
	if r.isServed(key, export) {
		waits(rollout, annexv1alpha1.RolloutNotSupportedReason, conditionsv1alpha1.ConditionSeverityError, "the server itself serves the resources of this APIExport")
		return reconcile.Result{}, r.write(ctx, key, old, rollout)
	}
	all, ready := r.Consumers.Of(key)
	if !ready {
		return reconcile.Result{RequeueAfter: interval}, nil
	}
	if retarget(rollout, export, all) {
		// A wave begins when the status says so: new bindings and other servers go by it.
		r.Gate.close(key)
		conditionsv1alpha1.MarkTrue(rollout, annexv1alpha1.RolloutProgressing)
		return reconcile.Result{}, r.write(ctx, key, old, rollout)
	}
	m := r.memo(key)
	if left := rest*m.took - r.now().Sub(m.looked); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	s, err := r.stepOf(ctx, key, rollout, all, export.Status.IdentityHash)
	if err != nil {
		return reconcile.Result{}, err
	}
	again, err := s.do(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	if left := r.hold(s.memo, old, rollout); left > 0 {
		return reconcile.Result{RequeueAfter: sooner(again, left)}, nil
	}
	if err := r.write(ctx, key, old, rollout); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// sooner returns the shorter of two times, of which 0 stands for never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// isServed reports whether typed storage serves what export offers. Every workspace binds it.
func (r *reconciler) isServed(key client.Key, export *apisv1alpha2.APIExport) bool {
	return key.Cluster == logicalcluster.Root && r.IsBound != nil && slices.ContainsFunc(export.Spec.Resources, func(res apisv1alpha2.ResourceSchema) bool {
		return r.IsBound(schema.GroupResource{Group: res.Group, Resource: res.Name})
	})
}

// hold returns how long a write of mere numbers has to wait; 0 if it has not.
func (r *reconciler) hold(m *memo, old, rollout *annexv1alpha1.APIExportRollout) time.Duration {
	plain := func(in *annexv1alpha1.APIExportRollout) *annexv1alpha1.APIExportRolloutStatus {
		status := in.Status.DeepCopy()
		status.Consumers, status.Updated, status.Skipped, status.Failed, status.Waves = 0, 0, 0, 0, nil
		return status
	}
	left := interval - r.now().Sub(m.written)
	if left <= 0 || apiequality.Semantic.DeepEqual(old, rollout) || !apiequality.Semantic.DeepEqual(plain(old), plain(rollout)) {
		return 0
	}
	return left
}

// write stores rollout if it differs from old, and records an Event if it stopped or is complete.
func (r *reconciler) write(ctx context.Context, key client.Key, old, rollout *annexv1alpha1.APIExportRollout) error {
	if apiequality.Semantic.DeepEqual(old, rollout) {
		return nil
	}
	if _, err := r.Client.Update(ctx, rollouts, key.Cluster, rollout); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("updating APIExportRollout %s: %w", key, err)
	}
	r.memo(key).written = r.now()
	if before, now := old.Status.Phase, rollout.Status.Phase; before != now {
		kind := annexv1alpha1.SchemeGroupVersion.WithKind("APIExportRollout")
		switch now {
		case annexv1alpha1.RolloutPhaseStopped:
			r.Tell(rollout, kind, corev1.EventTypeWarning, "RolloutStopped", conditionsv1alpha1.GetMessage(rollout, annexv1alpha1.RolloutProgressing))
		case annexv1alpha1.RolloutPhaseComplete:
			r.Tell(rollout, kind, corev1.EventTypeNormal, "RolloutComplete", "consumers have the schemas that the APIExport names")
		case annexv1alpha1.RolloutPhaseUndone:
			r.Tell(rollout, kind, corev1.EventTypeNormal, "RolloutUndone", "consumers have the previous schemas")
		}
	}
	return nil
}

// waits makes the condition of rollout say why it does not progress.
func waits(rollout *annexv1alpha1.APIExportRollout, reason string, severity conditionsv1alpha1.ConditionSeverity, message string) {
	conditionsv1alpha1.MarkFalse(rollout, annexv1alpha1.RolloutProgressing, reason, severity, "%s", message)
}

func clusterName(name string) logicalcluster.Name { return logicalcluster.Name(name) }
