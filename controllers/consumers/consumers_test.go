package consumers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const provider = logicalcluster.Name("provider")

var key = client.Key{Cluster: provider, Name: "things"}

// told notes the reasons of Events.
type told []string

func (t *told) Record(_ client.Object, _ schema.GroupVersionKind, _, reason, _ string) {
	*t = append(*t, reason)
}

func newExport(cluster logicalcluster.Name, resource string) *apisv1alpha2.APIExport {
	export := clienttest.In(cluster, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: key.Name}})
	export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Group: "example.com", Name: resource, Schema: "v2." + resource + ".example.com"}}
	return export
}

// newBinding returns a binding that has bound schema, empty for none; reason is why it could not bind or follow.
func newBinding(cluster, exporter logicalcluster.Name, schema, reason string) *apisv1alpha2.APIBinding {
	binding := clienttest.In(cluster, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
	binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: "root:provider", Name: key.Name}
	binding.Status.APIExportClusterName = exporter.String()
	conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.BindingUpToDate)
	if reason != "" {
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.BindingUpToDate, reason, conditionsv1alpha1.ConditionSeverityError, "private to the consumer")
	}
	if schema != "" {
		conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.InitialBindingCompleted)
		binding.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Group: "example.com", Resource: "widgets", Schema: apisv1alpha2.BoundAPIResourceSchema{Name: schema}}}
	} else {
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.InitialBindingCompleted, reason, conditionsv1alpha1.ConditionSeverityError, "private to the consumer")
	}
	return binding
}

type fixture struct {
	t *testing.T
	*reconciler
	fake *clienttest.Fake
	told told
}

func newFixture(t *testing.T, exports ...client.Object) *fixture {
	f := &fixture{t: t, fake: clienttest.NewFake(exports...)}
	f.reconciler = &reconciler{Config: multicluster.Config{Client: f.fake, Events: &f.told, IsBound: func(gr schema.GroupResource) bool { return gr.Resource == "workspaces" }}}
	return f
}

// list shows all bindings to the index, as a watch that begins.
func (f *fixture) list(bindings ...*apisv1alpha2.APIBinding) []client.Key {
	f.observe(client.Event{Type: client.Reset})
	for _, binding := range bindings {
		if keys := f.observe(client.Event{Type: client.Added, Object: binding}); len(keys) > 0 {
			f.t.Errorf("%v before the list is complete", keys)
		}
	}
	return f.observe(client.Event{Type: client.Synced})
}

func (f *fixture) status(at client.Key) *apisv1alpha2.APIExportConsumers {
	f.t.Helper()
	if _, err := f.reconcile(f.t.Context(), at); err != nil {
		f.t.Fatal(err)
	}
	if keys := f.fake.Mutated(); len(keys) > 0 {
		f.t.Errorf("objects of the watch cache were changed: %v", keys)
	}
	export, err := client.Find[apisv1alpha2.APIExport](f.t.Context(), f.fake, exports, at)
	if err != nil || export == nil {
		f.t.Fatal(export, err)
	}
	return export.Status.Consumers
}

func TestReconcile_CountsConsumers(t *testing.T) {
	f := newFixture(t, newExport(provider, "widgets"))
	if result, err := f.reconcile(t.Context(), key); err != nil || result.RequeueAfter == 0 || len(f.fake.Writes()) > 0 {
		t.Errorf("before all bindings have been seen: %v, %v, %v", result, err, f.fake.Writes())
	}
	behind := newBinding("c", provider, "v1.widgets.example.com", apisv1alpha2.APIResourceSchemaInvalidReason)
	waiting := newBinding("e", provider, "", apisv1alpha2.MissingIdentityHashReason)
	keys := f.list(
		newBinding("a", provider, "v2.widgets.example.com", ""), newBinding("b", provider, "v2.widgets.example.com", ""), behind,
		newBinding("d", provider, "", apisv1alpha2.NamingConflictsReason), waiting,
		newBinding("f", "elsewhere", "v2.widgets.example.com", ""), newBinding("g", "", "", apisv1alpha2.APIExportNotFoundReason),
	)
	if len(keys) != 2 {
		t.Errorf("the list concerns %v", keys)
	}
	want := &apisv1alpha2.APIExportConsumers{
		Bound: 3, Behind: 1, Pending: 2,
		Schemas: []apisv1alpha2.APIExportSchemaUse{
			{Group: "example.com", Resource: "widgets", Schema: "v2.widgets.example.com", Workspaces: 2},
			{Group: "example.com", Resource: "widgets", Schema: "v1.widgets.example.com", Workspaces: 1},
		},
		Problems: []apisv1alpha2.APIExportConsumerProblem{
			{Cluster: "c", Binding: "b", Reason: apisv1alpha2.APIResourceSchemaInvalidReason},
			{Cluster: "d", Binding: "b", Reason: apisv1alpha2.NamingConflictsReason},
		},
	}
	if diff := cmp.Diff(want, f.status(key)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(told{consumersBehind, bindingsRefused}, f.told); diff != "" {
		t.Error(diff)
	}
	writes := len(f.fake.Writes())
	f.status(key)
	if len(f.fake.Writes()) != writes {
		t.Error("what has not changed is written again")
	}

	// What changes a binding but not its state concerns nobody.
	same := behind.DeepCopy()
	same.Labels = map[string]string{"a": "b"}
	if keys := f.observe(client.Event{Type: client.Modified, Object: same}); len(keys) > 0 {
		t.Errorf("a label concerns %v", keys)
	}
	follows := newBinding("c", provider, "v2.widgets.example.com", "")
	for _, event := range []client.Event{{Type: client.Modified, Object: follows}, {Type: client.Deleted, Object: waiting}} {
		if diff := cmp.Diff([]client.Key{key}, f.observe(event)); diff != "" {
			t.Error(diff)
		}
	}
	if got := f.status(key); got.Bound != 3 || got.Behind != 0 || got.Pending != 1 || len(got.Schemas) != 1 || len(got.Problems) != 1 {
		t.Errorf("consumers: %+v", got)
	}
	if len(f.told) != 2 {
		t.Errorf("told %v, though nothing became worse", f.told)
	}

	// A list that begins anew no longer has what went away unseen.
	f.list()
	if diff := cmp.Diff(&apisv1alpha2.APIExportConsumers{}, f.status(key)); diff != "" {
		t.Error(diff)
	}
	if t1 := f.index.current; len(t1.of)+len(t1.states)+len(t1.exports) != 0 {
		t.Errorf("something is kept of bindings that are gone: %+v", t1)
	}
}

func TestReconcile_BoundsWhatItLists(t *testing.T) {
	f := newFixture(t, newExport(provider, "widgets"))
	var bindings []*apisv1alpha2.APIBinding
	for i := range 200 {
		bindings = append(bindings, newBinding(logicalcluster.Name(fmt.Sprintf("c%03d", i)), provider, fmt.Sprintf("v%d.widgets.example.com", i), apisv1alpha2.NamingConflictsReason))
	}
	f.list(bindings...)
	got := f.status(key)
	if got.Bound != 200 || got.Behind != 200 || len(got.Schemas) != maxSchemas || len(got.Problems) != maxProblems || got.Problems[9].Cluster != "c009" {
		t.Errorf("%d bound, %d behind, %d schemas, problems %v", got.Bound, got.Behind, len(got.Schemas), got.Problems)
	}
}

func TestReconcile_LeavesOutWhatEveryWorkspaceBinds(t *testing.T) {
	root := client.Key{Cluster: logicalcluster.Root, Name: key.Name}
	f := newFixture(t, newExport(logicalcluster.Root, "workspaces"))
	typed := newBinding("a", logicalcluster.Root, "x", "")
	typed.Status.BoundResources[0].Resource = "workspaces"
	if keys := f.list(typed); len(keys) > 0 {
		t.Errorf("it concerns %v", keys)
	}
	f.list(newBinding("b", logicalcluster.Root, "", apisv1alpha2.NamingConflictsReason)) // not bound yet
	if got := f.status(root); got != nil {
		t.Errorf("consumers: %+v", got)
	}
}

// However many bindings come at once, an export is queued for once per interval.
func TestFollow_WaitsForMore(t *testing.T) {
	f := newFixture(t, newExport(provider, "widgets"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	added := make(chan time.Duration, 10)
	go f.follow(ctx, func(at client.Key, after time.Duration) {
		if at == key {
			added <- after
		}
	})
	binding := newBinding("a", provider, "v2.widgets.example.com", "")
	if _, err := f.fake.Create(ctx, bindings, "a", binding); err != nil {
		t.Fatal(err)
	}
	if after := <-added; after != interval {
		t.Errorf("queued after %s, want %s", after, interval)
	}
}

func TestRun_ManyConsumersAreFewWrites(t *testing.T) {
	const many = 2000
	f := newFixture(t, newExport(provider, "widgets"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- multicluster.Run(ctx, f.fake, New(f.Config).Specs()[0]) }()
	defer func() {
		cancel()
		<-ended
	}()
	for i := range many {
		cluster := logicalcluster.Name(fmt.Sprintf("c%04d", i))
		if _, err := f.fake.Create(ctx, bindings, cluster, newBinding(cluster, provider, "v2.widgets.example.com", "")); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	if _, err := f.fake.Await(ctx, exports, key, func(obj client.Object) bool {
		export, ok := obj.(*apisv1alpha2.APIExport)
		return ok && export.Status.Consumers != nil && export.Status.Consumers.Bound == many
	}); err != nil {
		t.Fatal(err)
	}
	writes := 0
	for _, write := range f.fake.Writes() {
		if strings.HasPrefix(write, "update apiexports") {
			writes++
		}
	}
	if limit := 2 + int(time.Since(begun)/interval) + 5; writes > limit {
		t.Errorf("%d writes for %d consumers, want at most %d", writes, many, limit)
	}
}
