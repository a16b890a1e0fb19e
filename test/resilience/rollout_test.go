package resilience

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/test/framework/annex"
)

var rollouts = annexv1alpha1.SchemeGroupVersion.WithResource("apiexportrollouts")

// rolled is a provider whose schemas are rolled out in two waves, and what its consumers have had.
type rolled struct {
	t       *testing.T
	server  *annex.Server
	cluster string // of the provider
	// order are the clusters of the consumers in the order in which their turns come; the first wave of them are in the first wave.
	order []string
	first int
	// inTime is how many kills came before all consumers were where they belong.
	inTime int

	mu sync.Mutex
	// had are the schemas that the binding of a cluster was seen with, one after the other.
	had map[string][]string
	// changed gets something when a binding has another schema.
	changed chan struct{}
}

// widgetSchema returns the schema of widgets that is called by a prefix.
func widgetSchema(prefix string, spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema", "metadata": map[string]any{"name": prefix + ".widgets.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced",
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"type": "object", "properties": map[string]any{"spec": map[string]any{"type": "object", "properties": spec}},
			}}},
		},
	}
}

// newRolled makes consumers of v1, each with a Widget of size 1, and a rollout of which the first so many are the first wave.
func newRolled(t *testing.T, consumers, first int) *rolled {
	t.Helper()
	r := &rolled{t: t, server: annex.Start(t), first: first, had: map[string][]string{}, changed: make(chan struct{}, 1)}
	path, cluster := r.server.NewWorkspace("root", "producer", "universal")
	r.cluster = cluster
	provider := r.provider()
	integer, text := map[string]any{"type": "integer"}, map[string]any{"type": "string"}
	create(t, provider.Resource(schemas), widgetSchema("v1", map[string]any{"size": integer}))
	create(t, provider.Resource(schemas), widgetSchema("v2", map[string]any{"size": integer, "color": text}))
	create(t, provider.Resource(schemas), widgetSchema("v3", map[string]any{"size": map[string]any{"type": "integer", "maximum": int64(100)}, "color": text}))
	create(t, provider.Resource(exports), map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": "widgets"},
		"spec": map[string]any{"resources": offeredWidgets("v1")},
	})
	r.order = make([]string, consumers)
	_, root := annex.Clients(t, r.server.Workspace("root"))
	each(consumers, func(i int) {
		var err error
		if r.order[i], err = annex.NewWorkspace(t.Context(), root, fmt.Sprintf("consumer-%d", i), "universal"); err != nil {
			t.Error(err)
			return
		}
		widget := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "same", "namespace": "default"}, "spec": map[string]any{"size": int64(1)},
		}}
		client := r.consumer(r.order[i])
		if _, err := client.Resource(bindings).Create(t.Context(), newBinding(path), metav1.CreateOptions{}); err != nil {
			t.Error(err)
			return
		}
		if wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err = client.Resource(widgets).Namespace("default").Create(ctx, widget, metav1.CreateOptions{})
			return err == nil, nil
		}) != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	r.createRollout(provider)
	r.follow()
	r.is(annexv1alpha1.RolloutPhaseComplete, 1, 2)
	return r
}

func offeredWidgets(prefix string) []any {
	return []any{map[string]any{"group": "example.com", "name": "widgets", "schema": prefix + ".widgets.example.com", "storage": map[string]any{"crd": map[string]any{}}}}
}

// createRollout creates the rollout, and sorts the consumers of each wave as it does.
func (r *rolled) createRollout(provider dynamic.Interface) {
	r.t.Helper()
	rollout := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}}
	rollout.APIVersion, rollout.Kind = annexv1alpha1.SchemeGroupVersion.String(), "APIExportRollout"
	rollout.Spec.Waves = []annexv1alpha1.RolloutWave{{Clusters: slices.Clone(r.order[:r.first]), Pause: &annexv1alpha1.RolloutPause{}}}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(rollout)
	if err != nil {
		r.t.Fatal(err)
	}
	create(r.t, provider.Resource(rollouts), object)
	waves, err := rules.WavesOf(logicalcluster.Name(r.cluster), rollout)
	if err != nil {
		r.t.Fatal(err)
	}
	slices.SortFunc(r.order, func(a, b string) int {
		one, other := logicalcluster.Name(a), logicalcluster.Name(b)
		return cmp.Or(cmp.Compare(waves.Of(one, nil), waves.Of(other, nil)), cmp.Compare(waves.Share(one), waves.Share(other)), cmp.Compare(a, b))
	})
}

// The clients are those of the server that runs now: it has another address after each start.
func (r *rolled) provider() dynamic.Interface { return r.consumer(r.cluster) }

func (r *rolled) consumer(cluster string) dynamic.Interface {
	_, client := annex.Clients(r.t, r.server.Workspace(cluster))
	return client
}

// follow notes which schemas bindings have, until the server is gone.
func (r *rolled) follow() {
	r.t.Helper()
	config := r.server.Workspace(r.cluster)
	config.Host = r.server.URL() + "/services/apiexport/" + r.cluster + "/widgets/clusters/*"
	_, all := annex.Clients(r.t, config)
	var list *unstructured.UnstructuredList
	annex.Eventually(r.t, func(ctx context.Context) (err error) {
		list, err = all.Resource(bindings).List(ctx, metav1.ListOptions{})
		return err
	})
	for i := range list.Items {
		r.note(&list.Items[i])
	}
	watching, err := all.Resource(bindings).Watch(r.t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer watching.Stop()
		for event := range watching.ResultChan() {
			if binding, ok := event.Object.(*unstructured.Unstructured); ok {
				r.note(binding)
			}
		}
	}()
}

func (r *rolled) note(binding *unstructured.Unstructured) {
	cluster := binding.GetAnnotations()[logicalcluster.AnnotationKey]
	bound, _, _ := unstructured.NestedSlice(binding.Object, "status", "boundResources")
	if len(bound) == 0 {
		return
	}
	one, _ := bound[0].(map[string]any)
	schema, _, _ := unstructured.NestedString(one, "schema", "name")
	prefix := schema[:min(len(schema), len("v1"))]
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen := r.had[cluster]; len(seen) > 0 && seen[len(seen)-1] == prefix {
		return
	}
	r.had[cluster] = append(r.had[cluster], prefix)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// have returns how many of the consumers have a schema.
func (r *rolled) have(prefix string, of []string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, cluster := range of {
		if seen := r.had[cluster]; len(seen) > 0 && seen[len(seen)-1] == prefix {
			n++
		}
	}
	return n
}

// killWhen kills the server as soon as it is known that one of the consumers has a schema, and starts it again.
func (r *rolled) killWhen(prefix string, of []string) {
	r.t.Helper()
	late := time.After(2 * time.Minute)
	for r.have(prefix, of) == 0 {
		select {
		case <-r.changed:
		case <-late:
			r.t.Fatalf("nobody got %s\n%s", prefix, r.server.Log())
		}
	}
	r.server.Kill()
	n := r.have(prefix, of)
	if r.t.Logf("killed when %d of %d were known to have %s", n, len(of), prefix); n < len(of) {
		r.inTime++
	}
	r.server.Start()
	r.follow()
}

func (r *rolled) patch(patch string) {
	r.t.Helper()
	if _, err := r.provider().Resource(rollouts).Patch(r.t.Context(), "widgets", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// offer names another schema.
func (r *rolled) offer(prefix string) {
	r.t.Helper()
	patch := &unstructured.Unstructured{Object: map[string]any{
		"kind":     "APIExport",
		"metadata": map[string]any{"annotations": map[string]any{annexv1alpha1.AllowBreakingChangeAnnotationKey: prefix + ".widgets.example.com"}},
		"spec":     map[string]any{"resources": offeredWidgets(prefix)},
	}}
	body, err := patch.MarshalJSON()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.provider().Resource(exports).Patch(r.t.Context(), "widgets", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// is waits until the rollout is in a phase of a revision, for the spec that it has, and returns its status.
func (r *rolled) is(phase annexv1alpha1.RolloutPhase, revision int64, wave int32) *annexv1alpha1.APIExportRolloutStatus {
	r.t.Helper()
	client := r.provider()
	var found annexv1alpha1.APIExportRollout
	annex.Eventually(r.t, func(ctx context.Context) error {
		got, err := client.Resource(rollouts).Get(ctx, "widgets", metav1.GetOptions{})
		if err != nil {
			return err
		}
		found = annexv1alpha1.APIExportRollout{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got.Object, &found); err != nil {
			return err
		}
		if s := &found.Status; s.Phase != phase || s.Revision != revision || s.Wave != wave || s.ObservedGeneration != found.Generation {
			return fmt.Errorf("the rollout is %s in wave %d of revision %d, and not %s in wave %d of revision %d", s.Phase, s.Wave, s.Revision, phase, wave, revision)
		}
		return nil
	})
	return &found.Status
}

// all waits until all of the consumers have a schema.
func (r *rolled) all(prefix string, of []string) {
	r.t.Helper()
	annex.Eventually(r.t, func(context.Context) error {
		if n := r.have(prefix, of); n != len(of) {
			return fmt.Errorf("%d of %d have %s", n, len(of), prefix)
		}
		return nil
	})
}

// set writes a field of the Widget of a consumer.
func (r *rolled) set(cluster, patch string) error {
	_, err := r.consumer(cluster).Resource(widgets).Namespace("default").Patch(r.t.Context(), "same", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// wantHad fails unless each consumer has had exactly these schemas, in that order.
func (r *rolled) wantHad(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, cluster := range r.order {
		if !slices.Equal(r.had[cluster], want) {
			r.t.Errorf("consumer %d had %v, want %v", i, r.had[cluster], want)
		}
	}
}

// A rollout goes on where it was when its server was killed. Nobody is left out, or gets a schema twice. What stops it stops it for the next server, too.
func TestKill_DuringARollout(t *testing.T) {
	// There are more consumers before the one that fails than may be on their way at once, so some of them get the schema before it is validated.
	const consumers, first, bad = 32, 20, 18
	r := newRolled(t, consumers, first)
	r.all("v1", r.order)

	// In the first wave, in the pause after it, and in the second wave.
	r.offer("v2")
	r.killWhen("v2", r.order[:first])
	r.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	r.all("v2", r.order[:first])
	r.server.Kill()
	r.server.Start()
	r.follow()
	r.all("v1", r.order[first:])
	r.patch(`{"spec":{"resume":{"revision":2,"wave":1}}}`)
	r.killWhen("v2", r.order[first:])
	if s := r.is(annexv1alpha1.RolloutPhaseComplete, 2, 2); s.Updated != consumers || s.Consumers != consumers || len(s.Failures) != 0 {
		t.Errorf("after both waves: %+v", s)
	}
	r.all("v2", r.order)
	r.wantHad("v1", "v2")

	// Each has something that only the new schema knows, and one in the first wave has what the next one refuses.
	each(consumers, func(i int) {
		size := 1
		if i == bad {
			size = 1000
		}
		if err := r.set(r.order[i], fmt.Sprintf(`{"spec":{"color":"red","size":%d}}`, size)); err != nil {
			t.Error(err)
		}
	})
	stopped := func(when string) {
		t.Helper()
		s := r.is(annexv1alpha1.RolloutPhaseStopped, 3, 1)
		if len(s.Failures) != 1 || s.Failures[0].Cluster != r.order[bad] || s.Failures[0].Reason != annexv1alpha1.RolloutObjectsInvalidReason || s.Failed != 1 {
			t.Errorf("%s: failures %+v, want that of %s", when, s.Failures, r.order[bad])
		}
		if n := r.have("v3", r.order[bad:]); n != 0 {
			t.Errorf("%s: %d consumers have the new schema that do not come before the one that failed", when, n)
		}
	}
	r.offer("v3")
	r.killWhen("v3", r.order[:bad])
	stopped("after a kill on the way")
	r.server.Kill()
	r.server.Start()
	r.follow()
	// When this has been seen, the next server has looked at the rollout. It ends no stop.
	r.patch(`{"spec":{"resume":{"revision":3,"wave":1}}}`)
	stopped("after a kill while it is stopped")
	r.all("v2", r.order[bad:])

	// The consumer mends its object: all follow.
	if err := r.set(r.order[bad], `{"spec":{"size":2}}`); err != nil {
		t.Fatal(err)
	}
	r.patch(`{"spec":{"resume":{"revision":3,"wave":2}}}`)
	if s := r.is(annexv1alpha1.RolloutPhaseComplete, 3, 2); s.Updated != consumers || len(s.Failures) != 0 {
		t.Errorf("after the object was mended: %+v", s)
	}
	r.all("v3", r.order)
	r.wantHad("v1", "v2", "v3")

	// The way back does not end halfway either.
	r.patch(`{"spec":{"undo":3}}`)
	r.killWhen("v2", r.order)
	r.is(annexv1alpha1.RolloutPhaseUndone, 3, 2)
	r.all("v2", r.order)
	r.wantHad("v1", "v2", "v3", "v2")
	each(consumers, func(i int) {
		got, err := r.consumer(r.order[i]).Resource(widgets).Namespace("default").Get(t.Context(), "same", metav1.GetOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		if color, _, _ := unstructured.NestedString(got.Object, "spec", "color"); color != "red" {
			t.Errorf("an object has lost a field that all schemas since its write have: %v", got.Object["spec"])
		}
	})
	if r.inTime == 0 {
		t.Error("each kill came when all was done")
	}
}
