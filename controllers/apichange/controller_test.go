package apichange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	provider = logicalcluster.Name("provider")
	hash     = "the-identity"
)

// identified shows custom resources in a bucket.
type identified struct {
	*clienttest.Content
	bucket string
	fail   error
	visits func() // is called for each object
}

func (i *identified) Stored(ctx context.Context, scope client.ContentScope, visit func(client.Head, *unstructured.Unstructured) error) error {
	if i.fail != nil {
		return i.fail
	}
	wanted := scope.Wanted
	scope.Wanted = func(gr schema.GroupResource, _ string) bool { return wanted(gr, i.bucket) }
	return i.Content.Stored(ctx, scope, func(h client.Head, stored *unstructured.Unstructured) error {
		if i.visits != nil {
			i.visits()
		}
		return visit(h, stored)
	})
}

type fixture struct {
	t *testing.T
	*reconciler
	fake    *clienttest.Fake
	content *identified
	clock   time.Time
	step    time.Duration // that each look at the clock takes
}

func newSchema(name, field string) *apisv1alpha1.APIResourceSchema {
	s := clienttest.In(provider, &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name + ".widgets.example.com", UID: types.UID(name)}})
	s.Spec = apisv1alpha1.APIResourceSchemaSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names:    apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
		Versions: []apisv1alpha1.APIResourceVersion{{Name: "v1", Storage: true, Schema: runtime.RawExtension{Raw: []byte(`{"type":"object","properties":{"size":` + field + `}}`)}}},
	}
	return s
}

func newBinding(cluster logicalcluster.Name, hash string, stored ...string) *apisv1alpha2.APIBinding {
	b := clienttest.In(cluster, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}})
	b.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(provider, "widgets")}
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{
		Group: "example.com", Resource: "widgets", StorageVersions: stored, Schema: apisv1alpha2.BoundAPIResourceSchema{Name: "old.widgets.example.com", UID: "old", IdentityHash: hash},
	}}
	return b
}

func newWidget(cluster logicalcluster.Name, name string, size int64) client.Object {
	return clienttest.In(cluster, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"namespace": "default", "name": name, "uid": name}, "size": size,
	}})
}

func newReport(name string, schemas ...string) *annexv1alpha1.APIChangeReport {
	r := clienttest.In(provider, &annexv1alpha1.APIChangeReport{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}})
	r.Spec.Export, r.Spec.Schemas = "widgets", schemas
	return r
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	export := clienttest.In(provider, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}})
	export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Group: "example.com", Name: "widgets", Schema: "old.widgets.example.com"}}
	export.Status.IdentityHash = hash
	for _, obj := range objects {
		if binding, ok := obj.(*apisv1alpha2.APIBinding); ok {
			lc := clienttest.In(logicalcluster.From(binding), &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}})
			lc.Annotations[corev1alpha1.LogicalClusterInactiveAnnotationKey] = binding.Annotations["test/off"]
			objects = append(objects, lc)
		}
	}
	objects = append(objects, export, newSchema("old", `{"type":"integer"}`), newSchema("new", `{"type":"integer","maximum":10}`))
	f := &fixture{t: t, fake: clienttest.NewFake(objects...), clock: time.Unix(1_000_000, 0), step: time.Millisecond}
	f.content = &identified{Content: clienttest.NewContent(f.fake), bucket: hash}
	f.restart()
	return f
}

// restart forgets what is only in memory.
func (f *fixture) restart() {
	f.reconciler = &reconciler{Config: multicluster.Config{Client: f.fake, Live: f.fake, Content: f.content}, underway: &multicluster.Underway[*underway]{Most: atOnce}, now: func() time.Time {
		f.clock = f.clock.Add(f.step)
		return f.clock
	}}
}

func at(name string) client.Key { return client.Key{Cluster: provider, Name: name} }

func (f *fixture) turn(name string) reconcile.Result {
	f.t.Helper()
	result, err := f.reconcile(f.t.Context(), at(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

func (f *fixture) get(name string) *annexv1alpha1.APIChangeReport {
	f.t.Helper()
	report, err := client.Find[annexv1alpha1.APIChangeReport](f.t.Context(), f.fake, reports, at(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return report
}

// finish reconciles until the report has ended, and returns it and how many turns that took.
func (f *fixture) finish(name string) (*annexv1alpha1.APIChangeReport, int) {
	f.t.Helper()
	for turns := 1; turns < 1_000; turns++ {
		f.turn(name)
		if report := f.get(name); ended(report) {
			return report, turns
		}
	}
	f.t.Fatalf("the report does not end: %+v", f.get(name).Status)
	return nil, 0
}

func status(report *annexv1alpha1.APIChangeReport, t conditionsv1alpha1.ConditionType) string {
	c := conditionsv1alpha1.Get(report, t)
	if c == nil {
		return ""
	}
	return strings.TrimSuffix(string(c.Status)+" "+c.Reason, " ")
}

func TestReconcile_ReportsWhatWouldBecomeInvalid(t *testing.T) {
	f := newFixture(t, newReport("r", "new.widgets.example.com"),
		newBinding("c1", hash, "v1"), newBinding("c2", hash), newBinding("c3", hash, "v0"), newBinding("other", "another-identity"),
		newWidget("c1", "a", 11), newWidget("c1", "b", 10), newWidget("c1", "c", 12), newWidget("c2", "a", 1), newWidget("c3", "z", 99),
		newWidget("other", "x", 99), newWidget("nobody", "x", 99))
	report, _ := f.finish("r")
	if got := []string{status(report, annexv1alpha1.ReportValid), status(report, annexv1alpha1.ReportComplete), status(report, annexv1alpha1.ReportCompatible)}; !cmp.Equal(got, []string{"True", "True", "False Breaks"}) {
		t.Errorf("conditions %q", got)
	}
	if report.Status.ResourceVersion == "" || report.Status.StartTime == nil || report.Status.CompletionTime == nil {
		t.Errorf("the time is missing: %+v", report.Status)
	}
	message := []annexv1alpha1.APIChangeReportError{{Version: "v1", Field: "size", Message: "should be less than or equal to 10"}}
	object := func(cluster, name string) annexv1alpha1.APIChangeReportObject {
		return annexv1alpha1.APIChangeReportObject{Cluster: cluster, Group: "example.com", Resource: "widgets", Namespace: "default", Name: name, Errors: message}
	}
	want := annexv1alpha1.APIChangeReportStatus{
		Phase: annexv1alpha1.APIChangeReportComplete, ObservedGeneration: 1,
		Consumers: annexv1alpha1.APIChangeReportConsumers{Total: 3, Checked: 3, Invalid: 2, Behind: 1},
		Objects:   annexv1alpha1.APIChangeReportObjects{Checked: 5, Invalid: 3}, BreakingChanges: 1,
		Changes:        []annexv1alpha1.APIChange{{Schema: "new.widgets.example.com", Version: "v1", Field: "size", Message: "its value must be at most 10"}},
		StoredVersions: []annexv1alpha1.APIChangeReportStoredVersion{{Group: "example.com", Resource: "widgets", Version: "v1", Objects: 5}},
		Workspaces:     []annexv1alpha1.APIChangeReportWorkspace{{Cluster: "c1", Objects: 3, Invalid: 2}, {Cluster: "c3", Objects: 1, Invalid: 1}},
		InvalidObjects: []annexv1alpha1.APIChangeReportObject{object("c1", "a"), object("c1", "c"), object("c3", "z")},
	}
	got := report.Status
	got.Conditions, got.StartTime, got.CompletionTime, got.ResourceVersion = nil, nil, nil, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.underway.Len() > 0 || len(f.fake.Mutated()) > 0 {
		t.Errorf("%d are under way, %v changed in the cache", f.underway.Len(), f.fake.Mutated())
	}
	writes := len(f.fake.Writes())
	if f.turn("r"); len(f.fake.Writes()) != writes {
		t.Error("a complete report is written again")
	}
}

// Providers do not see what is in workspaces that are switched off.
func TestReconcile_NamesNothingOfWhatIsSwitchedOff(t *testing.T) {
	off := newBinding("c1", hash)
	off.Annotations["test/off"] = "true"
	f := newFixture(t, newReport("r", "new.widgets.example.com"), off, newWidget("c1", "a", 11), newBinding("c2", hash), newWidget("c2", "b", 11))
	report, _ := f.finish("r")
	if len(report.Status.InvalidObjects) != 1 || report.Status.InvalidObjects[0].Cluster != "c2" || report.Status.Objects.Invalid != 2 {
		t.Errorf("%+v", report.Status)
	}
}

func TestReconcile_CompatibleAndFaulty(t *testing.T) {
	f := newFixture(t, newReport("same", "old.widgets.example.com"), newBinding("c1", hash), newWidget("c1", "a", 11),
		newReport("missing", "none.widgets.example.com"), newReport("twice", "old.widgets.example.com", "new.widgets.example.com"))
	if report, _ := f.finish("same"); status(report, annexv1alpha1.ReportCompatible) != "True" || report.Status.Objects.Checked != 1 {
		t.Errorf("the same schema: %+v", report.Status)
	}
	for name, want := range map[string]string{"missing": "False " + annexv1alpha1.APIResourceSchemaNotFoundReason, "twice": "False " + annexv1alpha1.APIResourceSchemaMismatchReason} {
		report, _ := f.finish(name)
		if got := status(report, annexv1alpha1.ReportValid); got != want || report.Status.Phase != annexv1alpha1.APIChangeReportFailed {
			t.Errorf("%s: %s, %q; want %q", name, report.Status.Phase, got, want)
		}
	}
	if f.underway.Len() > 0 {
		t.Errorf("%d are under way", f.underway.Len())
	}
}

// many returns a report with consumers of which each has objects, and how many of these are invalid.
func many(t *testing.T, consumers, each int) (*fixture, int) {
	objects, invalid := []client.Object{newReport("r", "new.widgets.example.com")}, 0
	for i := range consumers {
		cluster := logicalcluster.Name(fmt.Sprintf("c%04d", i))
		objects = append(objects, newBinding(cluster, hash))
		for j := range each {
			size := int64((i + j) % 12)
			if size > 10 {
				invalid++
			}
			objects = append(objects, newWidget(cluster, fmt.Sprintf("w%03d", j), size))
		}
	}
	return newFixture(t, objects...), invalid
}

func TestReconcile_TakesTurnsWithinAConsumerAndBetween(t *testing.T) {
	f, invalid := many(t, 5, 40)
	f.step = turn / 7
	report, turns := f.finish("r")
	if report.Status.Objects.Checked != 200 || int(report.Status.Objects.Invalid) != invalid || report.Status.Consumers.Checked != 5 {
		t.Errorf("%+v, want %d invalid", report.Status.Objects, invalid)
	}
	if turns < 20 {
		t.Errorf("it took %d turns", turns)
	}
	if writes := len(f.fake.Writes()); writes > 2+int(f.clock.Sub(time.Unix(1_000_000, 0))/interval)+2 {
		t.Errorf("%d writes in %d turns", writes, turns)
	}
}

// What a turn skips because it was checked before takes time, too.
func TestReconcile_EndsForAConsumerWithManyObjects(t *testing.T) {
	f, invalid := many(t, 1, 500)
	f.content.visits = func() { f.clock = f.clock.Add(turn / 50) }
	report, turns := f.finish("r")
	if report.Status.Objects.Checked != 500 || int(report.Status.Objects.Invalid) != invalid || turns > 20 {
		t.Errorf("%+v in %d turns, want %d invalid", report.Status.Objects, turns, invalid)
	}
}

func TestReconcile_BeginsAgainAfterARestart(t *testing.T) {
	f, invalid := many(t, 5, 40)
	f.step = turn / 7
	for range 10 {
		f.turn("r")
	}
	f.restart()
	if report, _ := f.finish("r"); report.Status.Objects.Checked != 200 || int(report.Status.Objects.Invalid) != invalid {
		t.Errorf("%+v, want %d invalid", report.Status.Objects, invalid)
	}
}

func TestReconcile_IsSuspendedResumedAndDeleted(t *testing.T) {
	f, _ := many(t, 5, 40)
	f.step = turn / 7
	suspend := func(now bool) {
		report := f.get("r").DeepCopy()
		report.Spec.Suspend = now
		report.Generation++
		if _, err := f.fake.Update(t.Context(), reports, provider, report); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		f.turn("r")
	}
	suspend(true)
	if result := f.turn("r"); result.RequeueAfter != 0 || f.underway.Len() > 0 || f.get("r").Status.Phase != annexv1alpha1.APIChangeReportSuspended {
		t.Errorf("%v, %d under way, %+v", result, f.underway.Len(), f.get("r").Status)
	}
	suspend(false)
	for range 3 {
		f.turn("r")
	}
	if f.get("r").Status.Phase != annexv1alpha1.APIChangeReportChecking {
		t.Errorf("%+v", f.get("r").Status)
	}
	if err := f.fake.Delete(t.Context(), reports, at("r"), nil); err != nil {
		t.Fatal(err)
	}
	if result := f.turn("r"); result.RequeueAfter != 0 || f.underway.Len() > 0 {
		t.Errorf("%v, %d under way", result, f.underway.Len())
	}
}

func TestReconcile_OneOfAWorkspaceAtATimeAndFewInAll(t *testing.T) {
	objects := []client.Object{newReport("r1", "new.widgets.example.com"), newReport("r2", "new.widgets.example.com"), newBinding("c1", hash)}
	f := newFixture(t, objects...)
	f.turn("r1")
	if result := f.turn("r2"); result.RequeueAfter != waiting || f.get("r2").Status.Phase != annexv1alpha1.APIChangeReportPending {
		t.Errorf("%v, %+v", result, f.get("r2").Status)
	}
	f.finish("r1")
	f.finish("r2")
	for i := range atOnce {
		if !f.underway.Begin(client.Key{Cluster: logicalcluster.Name(fmt.Sprint("p", i)), Name: "r"}, logicalcluster.Path(fmt.Sprint("p", i)), &underway{}) {
			t.Errorf("only %d begin", i)
		}
	}
	if f.underway.Begin(client.Key{Cluster: "one-more", Name: "r"}, "one-more", &underway{}) {
		t.Error("too many begin")
	}
}

func TestReconcile_FailsWhenObjectsCannotBeRead(t *testing.T) {
	f, _ := many(t, 1, 1)
	f.turn("r")
	f.content.fail = errors.New("etcd is gone")
	for range mostFailures - 1 {
		if _, err := f.reconcile(t.Context(), at("r")); err == nil {
			t.Fatal("no error")
		}
	}
	f.turn("r")
	if report := f.get("r"); report.Status.Phase != annexv1alpha1.APIChangeReportFailed || status(report, annexv1alpha1.ReportComplete) != "False "+annexv1alpha1.ReportFailedReason || f.underway.Len() > 0 {
		t.Errorf("%+v", report.Status)
	}
}

func TestReconcile_FailsWhenItTakesTooLong(t *testing.T) {
	f, _ := many(t, 5, 40)
	f.step = maxTime / 3
	if report, _ := f.finish("r"); report.Status.Phase != annexv1alpha1.APIChangeReportFailed || status(report, annexv1alpha1.ReportComplete) != "False "+annexv1alpha1.ReportDeadlineExceededReason {
		t.Errorf("%+v", report.Status)
	}
}

func TestResult_IsBounded(t *testing.T) {
	r := &result{stored: map[storedVersion]int64{}}
	long := strings.Repeat("x", 250)
	for i := range 3_000 {
		one := &tally{of: r, cluster: logicalcluster.Name(fmt.Sprintf("c%04d", i))}
		for range 1 + i%3 {
			h := client.Head{Resource: schema.GroupResource{Group: "example.com", Resource: "widgets"}, Namespace: long, Name: long}
			one.note(h, fmt.Sprint("v", i), nil, 0)
			one.unreadable(h)
		}
		one.end(false)
	}
	if len(r.invalid) > annexv1alpha1.MaxReportedObjects || r.bytes > maxBytes+10_000 || len(r.workspaces) != annexv1alpha1.MaxReportedWorkspaces || len(r.stored) != maxVersions {
		t.Errorf("%d objects, %d bytes, %d workspaces, %d versions", len(r.invalid), r.bytes, len(r.workspaces), len(r.stored))
	}
	if r.objects.Invalid != 6_000 || r.objects.Checked != 12_000 || r.consumers.Invalid != 3_000 {
		t.Errorf("%+v, %+v", r.objects, r.consumers)
	}
	if first := r.workspaces[0]; first.Invalid != 3 || first.Cluster != "c0002" {
		t.Errorf("the first workspace is %+v", first)
	}
}
