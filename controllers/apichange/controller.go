package apichange

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	// atOnce is how many reports may be under way; the others wait. What a report keeps is bounded, but it is not small.
	atOnce = 4
	// mostFailures is how many turns in a row may fail.
	mostFailures = 10
	// waiting is when a report that waits looks again.
	waiting = time.Second
	// interval is the shortest time between two writes of progress.
	interval = 2 * time.Second
	// soon is when a report has its next turn: after those that are due.
	soon = time.Millisecond
)

var (
	reports     = annexv1alpha1.Resource("apichangereports")
	exports     = apisv1alpha2.Resource("apiexports")
	bindings    = apisv1alpha2.Resource("apibindings")
	schemas     = apisv1alpha1.Resource("apiresourceschemas")
	conversions = apisv1alpha1.Resource("apiconversions")
	definitions = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
)

// Specs describes the controller. It has one worker: reports take turns.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{Config: c, now: time.Now, underway: &multicluster.Underway[*underway]{Most: atOnce}}
	return []multicluster.Spec{{Name: "apichangereport", Watches: []multicluster.Watch{{Resource: reports}}, Reconcile: r.reconcile}}
}

type reconciler struct {
	multicluster.Config
	now func() time.Time

	underway *multicluster.Underway[*underway]
}

// underway is a report that is being made.
type underway struct {
	uid        types.UID
	generation int64
	subject    *subject
	result     result
	next       int // consumer
	at         position
	spent      time.Duration
	failures   int       // in a row
	written    time.Time // when progress was written last
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[annexv1alpha1.APIChangeReport](ctx, r.Client, reports, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old == nil || old.DeletionTimestamp != nil {
		r.underway.End(key)
		return reconcile.Result{}, nil
	}
	if ended(old) {
		r.underway.End(key)
		return reconcile.Result{}, nil
	}
	report := old.DeepCopy()
	if report.Spec.Suspend {
		r.underway.End(key)
		report.Status = annexv1alpha1.APIChangeReportStatus{Phase: annexv1alpha1.APIChangeReportSuspended, Conditions: report.Status.Conditions}
		r.incomplete(report, annexv1alpha1.ReportSuspendedReason, "spec.suspend is set")
		_, err := r.write(ctx, old, report)
		return reconcile.Result{}, err
	}
	u, ok := r.underway.Of(key)
	if !ok || u.uid != old.UID || u.generation != old.Generation {
		r.underway.End(key)
		return r.start(ctx, key, old, report)
	}
	return r.goOn(ctx, key, u, old, report)
}

// ended reports whether a report has nothing left to do. What is complete stays as it is: it says how things were.
func ended(report *annexv1alpha1.APIChangeReport) bool {
	return report.Status.Phase == annexv1alpha1.APIChangeReportComplete || report.Status.Phase == annexv1alpha1.APIChangeReportFailed
}

// start begins a report, or has it wait.
func (r *reconciler) start(ctx context.Context, key client.Key, old, report *annexv1alpha1.APIChangeReport) (reconcile.Result, error) {
	u := &underway{uid: old.UID, generation: old.Generation, result: result{stored: map[storedVersion]int64{}}}
	report.Status = annexv1alpha1.APIChangeReportStatus{Phase: annexv1alpha1.APIChangeReportPending, Conditions: report.Status.Conditions}
	tenant, err := r.TenantOf(ctx, key.Cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !r.underway.Begin(key, tenant, u) {
		r.incomplete(report, annexv1alpha1.ReportWaitingReason, "another report of this workspace is being made, or too many of the tenant or of others are")
		_, err := r.write(ctx, old, report)
		return reconcile.Result{RequeueAfter: waiting}, err
	}
	// What is written up to this write is seen by everything that is read after it.
	now := metav1.NewTime(r.now())
	report.Status.Phase, report.Status.StartTime = annexv1alpha1.APIChangeReportChecking, &now
	r.incomplete(report, annexv1alpha1.ReportCheckingReason, "objects are being checked")
	written, err := r.write(ctx, old, report)
	if err != nil || written == nil {
		r.underway.End(key)
		return reconcile.Result{}, err
	}
	report = written.DeepCopy()
	report.Status.ResourceVersion = written.ResourceVersion
	s, changes, fault, err := r.resolve(ctx, report)
	if err != nil {
		r.underway.End(key)
		return reconcile.Result{}, err
	}
	if fault != nil {
		r.underway.End(key)
		conditionsv1alpha1.MarkFalse(report, annexv1alpha1.ReportValid, fault.reason, conditionsv1alpha1.ConditionSeverityError, "%s", fault.message)
		return reconcile.Result{}, r.fail(ctx, written, report, fault.reason, fault.message)
	}
	conditionsv1alpha1.MarkTrue(report, annexv1alpha1.ReportValid)
	report.Status.BreakingChanges = int32(len(changes))
	report.Status.Changes = changes[:min(len(changes), annexv1alpha1.MaxReportedChanges)]
	u.subject, u.result.consumers.Total = s, int32(len(s.consumers))
	u.result.into(&report.Status, s, false)
	u.written = r.now()
	if written, err = r.write(ctx, written, report); err != nil || written == nil {
		r.underway.End(key)
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: soon}, nil
}

// goOn is one turn of a report.
func (r *reconciler) goOn(ctx context.Context, key client.Key, u *underway, old, report *annexv1alpha1.APIChangeReport) (reconcile.Result, error) {
	if report.Status.ResourceVersion == "" { // the watch cache does not have the last write yet
		return reconcile.Result{RequeueAfter: 20 * soon}, nil
	}
	began := r.now()
	all, err := r.check(ctx, u)
	u.spent += r.now().Sub(began)
	if err != nil {
		if u.failures++; u.failures < mostFailures || ctx.Err() != nil {
			return reconcile.Result{}, err
		}
		klog.FromContext(ctx).Error(err, "Objects cannot be checked", "cluster", key.Cluster, "resource", reports)
		r.underway.End(key)
		return reconcile.Result{}, r.fail(ctx, old, report, annexv1alpha1.ReportFailedReason, "the objects cannot be read")
	}
	u.failures = 0
	switch {
	case all:
		now := metav1.NewTime(r.now())
		report.Status.Phase, report.Status.CompletionTime = annexv1alpha1.APIChangeReportComplete, &now
		u.result.into(&report.Status, u.subject, true)
		conditionsv1alpha1.MarkTrue(report, annexv1alpha1.ReportComplete)
		r.judge(report)
	case u.spent > maxTime:
		u.result.into(&report.Status, u.subject, true)
		err := r.fail(ctx, old, report, annexv1alpha1.ReportDeadlineExceededReason, fmt.Sprintf("checking the objects takes longer than %s", maxTime))
		r.underway.End(key)
		return reconcile.Result{}, err
	case r.now().Sub(u.written) < interval:
		return reconcile.Result{RequeueAfter: soon}, nil
	default:
		u.result.into(&report.Status, u.subject, false)
	}
	written, err := r.write(ctx, old, report)
	if err != nil {
		return reconcile.Result{}, err
	}
	u.written = r.now()
	if all || written == nil {
		r.underway.End(key)
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: soon}, nil
}

// judge sets the condition that says whether the change is compatible.
func (*reconciler) judge(report *annexv1alpha1.APIChangeReport) {
	status := &report.Status
	if status.BreakingChanges == 0 && status.Objects.Invalid == 0 && status.Consumers.Behind == 0 {
		conditionsv1alpha1.MarkTrue(report, annexv1alpha1.ReportCompatible)
		return
	}
	conditionsv1alpha1.MarkFalse(report, annexv1alpha1.ReportCompatible, annexv1alpha1.ReportBreaksReason, conditionsv1alpha1.ConditionSeverityWarning,
		"%d changes are breaking, %d objects of %d workspaces would be invalid, and %d workspaces could not follow",
		status.BreakingChanges, status.Objects.Invalid, status.Consumers.Invalid, status.Consumers.Behind)
}

// incomplete says why a report is not complete.
func (*reconciler) incomplete(report *annexv1alpha1.APIChangeReport, reason, message string) {
	conditionsv1alpha1.MarkFalse(report, annexv1alpha1.ReportComplete, reason, conditionsv1alpha1.ConditionSeverityInfo, "%s", message)
	conditionsv1alpha1.MarkUnknown(report, annexv1alpha1.ReportCompatible, reason, "%s", message)
}

func (r *reconciler) fail(ctx context.Context, old, report *annexv1alpha1.APIChangeReport, reason, message string) error {
	now := metav1.NewTime(r.now())
	report.Status.Phase, report.Status.CompletionTime = annexv1alpha1.APIChangeReportFailed, &now
	r.incomplete(report, reason, message)
	_, err := r.write(ctx, old, report)
	return err
}

// write writes the status and returns what is stored; nil if the report is gone.
func (r *reconciler) write(ctx context.Context, old, report *annexv1alpha1.APIChangeReport) (*annexv1alpha1.APIChangeReport, error) {
	report.Status.ObservedGeneration = report.Generation
	if apiequality.Semantic.DeepEqual(old.Status, report.Status) {
		return old, nil
	}
	cluster := logicalcluster.From(old)
	obj, err := r.Client.Update(ctx, reports, cluster, report)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("updating APIChangeReport %s: %w", client.KeyOf(old), err)
	}
	written, ok := obj.(*annexv1alpha1.APIChangeReport)
	if !ok {
		return nil, errors.New("updating an APIChangeReport returned another kind")
	}
	return written, nil
}
