package storagemigration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// atOnce is how many migrations may be under way; the others wait.
	atOnce = 4
	// perSecond is how many writes all migrations make in a second, and burst how many at once.
	perSecond, burst = 200, 20
	// mostFailures is how many turns in a row may fail.
	mostFailures = 10
	// maxTime is how long a migration may work.
	maxTime = time.Hour
	// waiting is when a migration that waits looks again.
	waiting = time.Second
	// interval is the shortest time between two writes of progress.
	interval = 2 * time.Second
	// soon is when a migration has its next turn: after those that are due.
	soon = time.Millisecond
)

var (
	migrations  = annexv1alpha1.Resource("apistoragemigrations")
	exports     = apisv1alpha2.Resource("apiexports")
	bindings    = apisv1alpha2.Resource("apibindings")
	schemas     = apisv1alpha1.Resource("apiresourceschemas")
	definitions = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
)

// Specs describes the controller. It has a worker for each migration that may be under way: a conversion webhook may keep one waiting.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := newReconciler(c)
	return []multicluster.Spec{{Name: "apistoragemigration", Workers: atOnce, Watches: []multicluster.Watch{{Resource: migrations}}, Reconcile: r.reconcile}}
}

func newReconciler(c multicluster.Config) *reconciler {
	return &reconciler{Config: c, now: time.Now, rate: rate.NewLimiter(perSecond, burst), underway: &multicluster.Underway[*underway]{Most: atOnce}}
}

type reconciler struct {
	multicluster.Config
	now  func() time.Time
	rate *rate.Limiter

	underway *multicluster.Underway[*underway]
}

// underway is a migration that is under way. Only one worker at a time has it.
type underway struct {
	uid        types.UID
	generation int64
	subject    subject
	consumers  []logicalcluster.Name
	result     result
	next       int // consumer
	at         visit
	spent      time.Duration
	failures   int       // in a row
	written    time.Time // when progress was written last
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[annexv1alpha1.APIStorageMigration](ctx, r.Client, migrations, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old == nil || old.DeletionTimestamp != nil || ended(old) {
		r.underway.End(key)
		return reconcile.Result{}, nil
	}
	m := old.DeepCopy()
	if m.Spec.Suspend {
		r.underway.End(key)
		m.Status.Phase = annexv1alpha1.APIStorageMigrationSuspended // the counts stay: they say how far it came
		incomplete(m, annexv1alpha1.MigrationSuspendedReason, "spec.suspend is set")
		_, err := r.write(ctx, old, m)
		return reconcile.Result{}, err
	}
	u, ok := r.underway.Of(key)
	if !ok || u.uid != old.UID || u.generation != old.Generation {
		r.underway.End(key)
		return r.start(ctx, key, old, m)
	}
	return r.goOn(ctx, key, u, old, m)
}

// ended reports whether a migration has nothing left to do. What is complete stays as it is: objects that come later are stored in the current version.
func ended(m *annexv1alpha1.APIStorageMigration) bool {
	return m.Status.Phase == annexv1alpha1.APIStorageMigrationComplete || m.Status.Phase == annexv1alpha1.APIStorageMigrationFailed
}

// start begins a migration, or has it wait.
func (r *reconciler) start(ctx context.Context, key client.Key, old, m *annexv1alpha1.APIStorageMigration) (reconcile.Result, error) {
	u := &underway{uid: old.UID, generation: old.Generation}
	m.Status = annexv1alpha1.APIStorageMigrationStatus{Phase: annexv1alpha1.APIStorageMigrationPending, Conditions: m.Status.Conditions}
	tenant, err := r.TenantOf(ctx, key.Cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !r.underway.Begin(key, tenant, u) {
		incomplete(m, annexv1alpha1.MigrationWaitingReason, "another migration of this workspace is under way, or too many of the tenant or of others are")
		_, err := r.write(ctx, old, m)
		return reconcile.Result{RequeueAfter: waiting}, err
	}
	fault, err := r.prepare(ctx, u, m)
	if err != nil {
		r.underway.End(key)
		return reconcile.Result{}, err
	}
	if fault != nil {
		r.underway.End(key)
		conditionsv1alpha1.MarkFalse(m, annexv1alpha1.MigrationValid, fault.reason, conditionsv1alpha1.ConditionSeverityError, "%s", fault.message)
		return reconcile.Result{}, r.fail(ctx, old, m, fault.reason, fault.message)
	}
	conditionsv1alpha1.MarkTrue(m, annexv1alpha1.MigrationValid)
	now := metav1.NewTime(r.now())
	m.Status.Phase, m.Status.StartTime = annexv1alpha1.APIStorageMigrationRunning, &now
	m.Status.Schema, m.Status.Version = u.subject.schema, u.subject.version
	u.result.into(&m.Status)
	incomplete(m, annexv1alpha1.MigrationRunningReason, "objects are being rewritten")
	u.written = r.now()
	if written, err := r.write(ctx, old, m); err != nil || written == nil {
		r.underway.End(key)
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: soon}, nil
}

// prepare finds out what a migration is about.
func (r *reconciler) prepare(ctx context.Context, u *underway, m *annexv1alpha1.APIStorageMigration) (fault *fault, err error) {
	if u.subject, fault, err = r.resolve(ctx, m); fault != nil || err != nil {
		return fault, err
	}
	if u.consumers, err = r.consumers(ctx, &u.subject); err != nil {
		return nil, err
	}
	u.result.consumers.Total = int32(len(u.consumers))
	return nil, nil
}

// goOn is one turn of a migration.
func (r *reconciler) goOn(ctx context.Context, key client.Key, u *underway, old, m *annexv1alpha1.APIStorageMigration) (reconcile.Result, error) {
	if m.Status.Phase != annexv1alpha1.APIStorageMigrationRunning { // the watch cache does not have the last write yet
		return reconcile.Result{RequeueAfter: 20 * soon}, nil
	}
	began := r.now()
	all, err := r.work(ctx, u)
	u.spent += r.now().Sub(began)
	after := soon
	if errors.Is(err, errLater) {
		after, err = waiting, nil
	}
	if err != nil {
		if u.failures++; u.failures < mostFailures || ctx.Err() != nil {
			return reconcile.Result{}, err
		}
		klog.FromContext(ctx).Error(err, "Objects cannot be rewritten", "cluster", key.Cluster, "resource", migrations)
		r.underway.End(key)
		u.result.into(&m.Status)
		return reconcile.Result{}, r.fail(ctx, old, m, annexv1alpha1.MigrationStorageReason, "objects cannot be read or written")
	}
	u.failures = 0
	if !all && u.spent <= maxTime && r.now().Sub(u.written) < interval {
		return reconcile.Result{RequeueAfter: after}, nil
	}
	if same, err := r.still(ctx, u, m); err != nil || !same {
		return r.again(ctx, key, old, m, err)
	}
	u.result.into(&m.Status)
	u.written = r.now()
	switch {
	case all:
		r.underway.End(key)
		return reconcile.Result{}, r.end(ctx, u, old, m)
	case u.spent > maxTime:
		r.underway.End(key)
		return reconcile.Result{}, r.fail(ctx, old, m, annexv1alpha1.MigrationDeadlineExceededReason,
			fmt.Sprintf("rewriting the objects takes longer than %s. Another migration continues with the objects that are left", maxTime))
	}
	_, err = r.write(ctx, old, m)
	return reconcile.Result{RequeueAfter: after}, err
}

// still reports whether the subject of a migration is still the same.
func (r *reconciler) still(ctx context.Context, u *underway, m *annexv1alpha1.APIStorageMigration) (bool, error) {
	now, fault, err := r.resolve(ctx, m)
	return fault == nil && now == u.subject, err
}

// again begins a migration again, because the schema has changed, or returns the error.
func (r *reconciler) again(ctx context.Context, key client.Key, old, m *annexv1alpha1.APIStorageMigration, err error) (reconcile.Result, error) {
	if err != nil {
		return reconcile.Result{}, err
	}
	r.underway.End(key)
	m.Status = annexv1alpha1.APIStorageMigrationStatus{Phase: annexv1alpha1.APIStorageMigrationPending, Conditions: m.Status.Conditions}
	incomplete(m, annexv1alpha1.MigrationRestartedReason, "the schema has changed, so the migration begins again")
	_, err = r.write(ctx, old, m)
	return reconcile.Result{RequeueAfter: soon}, err
}

// end says how a migration has ended that has seen all consumers.
func (r *reconciler) end(ctx context.Context, u *underway, old, m *annexv1alpha1.APIStorageMigration) error {
	switch c := u.result.consumers; {
	case c.Failed > 0:
		return r.fail(ctx, old, m, annexv1alpha1.MigrationObjectsFailedReason,
			fmt.Sprintf("%d workspaces still list an older version, and %d objects have failed, which are stored as they were", c.Failed, u.result.objects.Failed))
	case c.Behind > 0:
		return r.fail(ctx, old, m, annexv1alpha1.MigrationConsumersBehindReason,
			fmt.Sprintf("%d workspaces do not have APIResourceSchema %q yet. Their objects are not rewritten", c.Behind, u.subject.schema))
	}
	now := metav1.NewTime(r.now())
	m.Status.Phase, m.Status.CompletionTime = annexv1alpha1.APIStorageMigrationComplete, &now
	conditionsv1alpha1.MarkTrue(m, annexv1alpha1.MigrationComplete)
	conditionsv1alpha1.MarkFalse(m, annexv1alpha1.MigrationFailed, "Completed", conditionsv1alpha1.ConditionSeverityInfo, "")
	_, err := r.write(ctx, old, m)
	return err
}

// incomplete says why a migration is not complete.
func incomplete(m *annexv1alpha1.APIStorageMigration, reason, message string) {
	conditionsv1alpha1.MarkFalse(m, annexv1alpha1.MigrationComplete, reason, conditionsv1alpha1.ConditionSeverityInfo, "%s", message)
	conditionsv1alpha1.MarkFalse(m, annexv1alpha1.MigrationFailed, reason, conditionsv1alpha1.ConditionSeverityInfo, "%s", message)
}

// fail says why a migration has ended although it is not complete.
func (r *reconciler) fail(ctx context.Context, old, m *annexv1alpha1.APIStorageMigration, reason, message string) error {
	now := metav1.NewTime(r.now())
	m.Status.Phase, m.Status.CompletionTime = annexv1alpha1.APIStorageMigrationFailed, &now
	conditionsv1alpha1.MarkFalse(m, annexv1alpha1.MigrationComplete, reason, conditionsv1alpha1.ConditionSeverityWarning, "%s", message)
	conditionsv1alpha1.Set(m, conditionsv1alpha1.Condition{Type: annexv1alpha1.MigrationFailed, Status: "True", Reason: reason, Message: message})
	_, err := r.write(ctx, old, m)
	return err
}

// write writes the status and returns what is stored; nil if the migration is gone.
func (r *reconciler) write(ctx context.Context, old, m *annexv1alpha1.APIStorageMigration) (client.Object, error) {
	m.Status.ObservedGeneration = m.Generation
	if apiequality.Semantic.DeepEqual(old.Status, m.Status) {
		return old, nil
	}
	written, err := r.Client.Update(ctx, migrations, logicalcluster.From(old), m)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("updating APIStorageMigration %s: %w", client.KeyOf(old), err)
	}
	return written, nil
}
