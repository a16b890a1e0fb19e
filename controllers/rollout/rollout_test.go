package rollout_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/apibinding"
	"github.com/annex-dev/annex/controllers/consumers"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
	"github.com/annex-dev/annex/controllers/rollout"
)

const provider = logicalcluster.Name("provider")

var (
	key      = client.Key{Cluster: provider, Name: "things"}
	exports  = apisv1alpha2.Resource("apiexports")
	bindings = apisv1alpha2.Resource("apibindings")
	rollouts = annexv1alpha1.Resource("apiexportrollouts")
)

type resolver struct{}

func (resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	return logicalcluster.Name(path), true, nil
}

// world has the controllers of bindings, consumers and rollouts over a client in memory.
type world struct {
	t    *testing.T
	fake *clienttest.Fake
	end  func()

	mu sync.Mutex
	// unfit are the clusters whose objects are not valid in a new schema; checked counts validations.
	unfit   map[logicalcluster.Name]bool
	checked map[logicalcluster.Name]int
}

func clusterOf(i int) logicalcluster.Name { return logicalcluster.Name(fmt.Sprintf("c%03d", i)) }

// newWorld returns a world with so many consumers of v1.
func newWorld(t *testing.T, many int, objects ...client.Object) *world {
	t.Helper()
	export := clienttest.In(provider, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: key.Name}})
	export.Status.IdentityHash = "identity"
	export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Group: "example.com", Name: "widgets", Schema: "v1.widgets.example.com"}}
	objects = append(objects, export, schema("v1", "v1"), schema("v2", "v1"), schema("v3", "v1"))
	for i := range many {
		objects = append(objects, newBinding(i))
	}
	w := &world{t: t, fake: clienttest.NewFake(objects...), unfit: map[logicalcluster.Name]bool{}, checked: map[logicalcluster.Name]int{}}
	w.start()
	t.Cleanup(func() { w.end() })
	if many > 0 {
		w.has(map[string]int{"v1": many})
	}
	return w
}

func newBinding(i int) *apisv1alpha2.APIBinding {
	b := clienttest.In(clusterOf(i), &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
	b.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: provider.String(), Name: key.Name}
	return b
}

// schema returns a schema of widgets that stores objects in a version; v1 is always there.
func schema(prefix, stored string) *apisv1alpha1.APIResourceSchema {
	name := prefix + ".widgets.example.com"
	s := clienttest.In(provider, &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)}})
	s.Spec = apisv1alpha1.APIResourceSchemaSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
	}
	for _, v := range slices.Compact([]string{"v1", stored}) {
		s.Spec.Versions = append(s.Spec.Versions, apisv1alpha1.APIResourceVersion{Name: v, Served: ptr.To(true), Storage: v == stored, Schema: runtime.RawExtension{Raw: []byte(`{"type":"object"}`)}})
	}
	return s
}

// start runs the controllers until end is called, as a server does that becomes the leader.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	config := multicluster.Config{Client: w.fake, Live: w.fake, Resolver: resolver{}, Content: clienttest.NewContent(w.fake)}
	index := names.New(config)
	binder, users := apibinding.New(config, index), consumers.New(config)
	binder.Gate = rollout.NewGate()
	specs := slices.Concat(binder.Specs(), users.Specs(), []multicluster.Spec{index.Spec()}, rollout.Specs(rollout.Config{
		Config: config, Consumers: users, Gate: binder.Gate, Checker: rollout.CheckerFunc(w.check),
	}))
	var wg sync.WaitGroup
	for _, spec := range specs {
		wg.Go(func() {
			if err := multicluster.Run(ctx, w.fake, spec); err != nil && ctx.Err() == nil {
				w.t.Error(err)
			}
		})
	}
	w.end = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if keys := w.fake.Mutated(); len(keys) > 0 {
			w.t.Errorf("objects of the watch cache were changed: %v", keys)
		}
	})
}

func (w *world) check(consumer logicalcluster.Name) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checked[consumer]++
	if w.unfit[consumer] {
		return []string{`widgets.example.com "default/bad": spec.size is required`}
	}
	return nil
}

func (w *world) setUnfit(cluster logicalcluster.Name, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unfit[cluster] = is
}

// schemas returns how many bindings have which schema, each by the first part of its name.
func (w *world) schemas() map[string]int {
	w.t.Helper()
	all, err := client.List[apisv1alpha2.APIBinding](w.t.Context(), w.fake, bindings, client.Scope{})
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[string]int{}
	for _, b := range all {
		for _, bound := range b.Status.BoundResources {
			prefix, _, _ := strings.Cut(bound.Schema.Name, ".")
			found[prefix]++
		}
	}
	return found
}

// has waits until so many bindings have each schema.
func (w *world) has(want map[string]int) {
	w.t.Helper()
	w.eventually(fmt.Sprint("bindings have ", want), func() (string, bool) {
		now := w.schemas()
		return fmt.Sprint(now), maps.Equal(now, want)
	})
}

func (w *world) eventually(what string, is func() (string, bool)) {
	w.t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		now, ok := is()
		if ok {
			return
		}
		if time.Since(begun) > time.Minute {
			w.t.Fatalf("waiting until %s: %s; the rollout: %+v", what, now, w.rollout().Status)
		}
	}
}

func (w *world) rollout() *annexv1alpha1.APIExportRollout {
	w.t.Helper()
	found, err := client.Find[annexv1alpha1.APIExportRollout](w.t.Context(), w.fake, rollouts, key)
	if err != nil {
		w.t.Fatal(err)
	}
	if found == nil {
		return &annexv1alpha1.APIExportRollout{}
	}
	return found
}

// is waits until the rollout is in a phase and a wave of a revision.
func (w *world) is(phase annexv1alpha1.RolloutPhase, revision int64, wave int32) *annexv1alpha1.APIExportRollout {
	w.t.Helper()
	var r *annexv1alpha1.APIExportRollout
	w.eventually(fmt.Sprintf("the rollout is %s in wave %d of revision %d", phase, wave, revision), func() (string, bool) {
		r = w.rollout()
		s := &r.Status
		return fmt.Sprintf("%s %d %d", s.Phase, s.Revision, s.Wave), s.Phase == phase && s.Revision == revision && s.Wave == wave && s.ObservedGeneration == r.Generation
	})
	return r
}

// roll creates a rollout with waves, and waits until it knows that all is well.
func (w *world) roll(waves ...annexv1alpha1.RolloutWave) {
	w.t.Helper()
	r := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: key.Name}, Spec: annexv1alpha1.APIExportRolloutSpec{Waves: waves}}
	if _, err := w.fake.Create(w.t.Context(), rollouts, provider, r); err != nil {
		w.t.Fatal(err)
	}
	w.is(annexv1alpha1.RolloutPhaseComplete, 1, int32(len(waves))+1)
}

// set changes the spec of the rollout.
func (w *world) set(change func(*annexv1alpha1.APIExportRolloutSpec)) {
	w.t.Helper()
	w.eventually("the spec is changed", func() (string, bool) {
		r := w.rollout().DeepCopy()
		change(&r.Spec)
		_, err := w.fake.Update(w.t.Context(), rollouts, provider, r)
		return fmt.Sprint(err), err == nil
	})
}

// looks waits until the controller has looked at the rollout once more, which it does in full for each change of the spec.
func (w *world) looks() {
	w.t.Helper()
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) {
		s.Skip = append(slices.Clone(s.Skip), fmt.Sprintf("nobody%d", len(s.Skip)))
	})
	w.eventually("the rollout is looked at", func() (string, bool) {
		r := w.rollout()
		return fmt.Sprint(r.Status.ObservedGeneration, r.Generation), r.Status.ObservedGeneration == r.Generation
	})
}

// offer makes the export name another schema.
func (w *world) offer(prefix string) {
	w.t.Helper()
	w.eventually("the export is changed", func() (string, bool) {
		export, err := client.Find[apisv1alpha2.APIExport](w.t.Context(), w.fake, exports, key)
		if err != nil {
			w.t.Fatal(err)
		}
		export = export.DeepCopy()
		export.Spec.Resources[0].Schema = prefix + ".widgets.example.com"
		_, err = w.fake.Update(w.t.Context(), exports, provider, export)
		return fmt.Sprint(err), err == nil
	})
}

// waveOf returns how many of so many consumers are in each wave.
func waveOf(t *testing.T, many int, waves ...annexv1alpha1.RolloutWave) (byWave map[int32][]logicalcluster.Name) {
	t.Helper()
	r := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: key.Name}, Spec: annexv1alpha1.APIExportRolloutSpec{Waves: waves}}
	all, err := rules.WavesOf(provider, r)
	if err != nil {
		t.Fatal(err)
	}
	byWave = map[int32][]logicalcluster.Name{}
	for i := range many {
		n := all.Of(clusterOf(i), nil)
		byWave[n] = append(byWave[n], clusterOf(i))
	}
	return byWave
}

func percent(n int32, pause bool) annexv1alpha1.RolloutWave {
	wave := annexv1alpha1.RolloutWave{Percentage: ptr.To(n)}
	if pause {
		wave.Pause = &annexv1alpha1.RolloutPause{}
	}
	return wave
}

func (w *world) resume(revision int64, wave int32) {
	w.t.Helper()
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) {
		s.Resume = &annexv1alpha1.RolloutResume{Revision: revision, Wave: wave}
	})
}

// updates returns how often each binding was written since from.
func (w *world) updates(from int) map[string]int {
	counted := map[string]int{}
	for _, write := range w.fake.Writes()[from:] {
		if strings.HasPrefix(write, "update apibindings") {
			counted[write]++
		}
	}
	return counted
}

func TestRollout_InWavesWithOneWriteForEachBinding(t *testing.T) {
	const many = 300
	waves := []annexv1alpha1.RolloutWave{percent(10, true), percent(50, true), percent(100, false)}
	w := newWorld(t, many)
	w.roll(waves...)
	by := waveOf(t, many, waves...)
	begin := len(w.fake.Writes())
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	first := len(by[1])
	w.has(map[string]int{"v1": many - first, "v2": first})
	// Resumed for another revision, or another wave, means nothing.
	w.resume(1, 1)
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	w.resume(2, 1)
	r := w.is(annexv1alpha1.RolloutPhasePaused, 2, 2)
	second := first + len(by[2])
	w.has(map[string]int{"v1": many - second, "v2": second})
	if s := r.Status; int(s.Updated) != second || int(s.Consumers) != many || s.Waves[0] != (annexv1alpha1.RolloutWaveStatus{Consumers: int32(first), Updated: int32(first)}) ||
		conditionsv1alpha1.GetReason(r, annexv1alpha1.RolloutProgressing) != annexv1alpha1.RolloutWaitingReason {
		t.Errorf("status: %+v", s)
	}
	w.resume(2, 2)
	w.is(annexv1alpha1.RolloutPhaseComplete, 2, 4)
	w.has(map[string]int{"v2": many})
	for write, n := range w.updates(begin) {
		if n > 1 {
			t.Errorf("%s: %d times", write, n)
		}
	}
	if n := len(w.updates(begin)); n != many {
		t.Errorf("%d bindings were written, want %d", n, many)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for cluster, n := range w.checked {
		if n != 1 {
			t.Errorf("%s was validated %d times", cluster, n)
		}
	}
}

func TestRollout_StopsAtTheFirstThatFails(t *testing.T) {
	const many = 60
	waves := []annexv1alpha1.RolloutWave{percent(30, false)}
	w := newWorld(t, many)
	by := waveOf(t, many, waves...)
	first := len(by[1])
	bad, later := by[1][first/2], by[2][0]
	w.setUnfit(bad, true)
	w.roll(waves...)
	w.offer("v2")
	r := w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	want := []annexv1alpha1.RolloutFailure{{Cluster: bad.String(), Binding: "b", Reason: annexv1alpha1.RolloutObjectsInvalidReason, Message: `widgets.example.com "default/bad": spec.size is required`}}
	if diff := cmp.Diff(want, r.Status.Failures, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Time" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	if moved := w.schemas()["v2"]; moved >= first || w.schemas()["v1"] != many-moved {
		t.Errorf("%v, though the first wave has %d and one fails", w.schemas(), first)
	}
	// It may be skipped, and the rest goes on; the next one may fail if the provider says so.
	w.setUnfit(later, true)
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = []string{bad.String()} })
	w.is(annexv1alpha1.RolloutPhaseStopped, 2, 2)
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.MaxFailures = 1 })
	r = w.is(annexv1alpha1.RolloutPhaseComplete, 2, 2)
	w.has(map[string]int{"v1": 2, "v2": many - 2})
	if s := r.Status; s.Skipped != 1 || s.Failed != 1 || int(s.Updated) != many-2 || len(s.Failures) != 1 || s.Failures[0].Cluster != later.String() {
		t.Errorf("status: %+v", s)
	}
	// Who is mended follows at the next look; who is no longer skipped, too.
	w.setUnfit(later, false)
	w.setUnfit(bad, false)
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = nil })
	w.has(map[string]int{"v2": many})
	w.eventually("nothing is reported any more", func() (string, bool) {
		s := w.rollout().Status
		return fmt.Sprintf("%+v", s), s.Failed == 0 && len(s.Failures) == 0 && int(s.Updated) == many
	})
}

func TestRollout_PausesAndUndoes(t *testing.T) {
	const many = 40
	waves := []annexv1alpha1.RolloutWave{percent(50, true)}
	w := newWorld(t, many)
	first := len(waveOf(t, many, waves...)[1])
	w.roll(waves...)
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Paused = true })
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	w.has(map[string]int{"v1": many})
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Paused = false })
	w.has(map[string]int{"v1": many - first, "v2": first})
	// A new consumer gets the schema of its wave.
	for i := many; i < many+20; i++ {
		if _, err := w.fake.Create(t.Context(), bindings, clusterOf(i), newBinding(i)); err != nil {
			t.Fatal(err)
		}
	}
	all := len(waveOf(t, many+20, waves...)[1])
	w.has(map[string]int{"v1": many + 20 - all, "v2": all})

	begin := len(w.fake.Writes())
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Undo = 2 })
	w.is(annexv1alpha1.RolloutPhaseUndone, 2, 1)
	w.has(map[string]int{"v1": many + 20})
	if got := w.updates(begin); len(got) != all {
		t.Errorf("%d bindings were written to undo, want %d", len(got), all)
	}
	// The undo taken back begins anew, with the first wave.
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Undo = 0 })
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	w.has(map[string]int{"v1": many + 20 - all, "v2": all})
	// The previous schema named again in the export is an undo too.
	w.offer("v1")
	w.is(annexv1alpha1.RolloutPhaseComplete, 3, 2)
	w.has(map[string]int{"v1": many + 20})
	// Even when it is complete, the last revision can be undone.
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhasePaused, 4, 1)
	w.resume(4, 1)
	w.is(annexv1alpha1.RolloutPhaseComplete, 4, 2)
	w.has(map[string]int{"v2": many + 20})
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Undo = 4 })
	w.is(annexv1alpha1.RolloutPhaseUndone, 4, 2)
	w.has(map[string]int{"v1": many + 20})
}

// The provider names a third schema while some consumers have the second one: all return to the first one if that is undone.
func TestRollout_AnotherChangeInTheMiddle(t *testing.T) {
	const many = 40
	waves := []annexv1alpha1.RolloutWave{percent(50, true)}
	w := newWorld(t, many)
	first := len(waveOf(t, many, waves...)[1])
	w.roll(waves...)
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	w.offer("v3")
	r := w.is(annexv1alpha1.RolloutPhasePaused, 3, 1)
	w.has(map[string]int{"v1": many - first, "v3": first})
	if res := r.Status.Resources[0]; res.From != "v1.widgets.example.com" || res.To != "v3.widgets.example.com" {
		t.Errorf("from %s to %s", res.From, res.To)
	}
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Undo = 3 })
	w.has(map[string]int{"v1": many})
	// A rollout that is deleted holds nobody back.
	if err := w.fake.Delete(t.Context(), rollouts, key, nil); err != nil {
		t.Fatal(err)
	}
	w.has(map[string]int{"v3": many})
}

func TestRollout_GoesOnAfterARestart(t *testing.T) {
	const many = 80
	waves := []annexv1alpha1.RolloutWave{percent(50, true)}
	w := newWorld(t, many)
	by := waveOf(t, many, waves...)
	first, bad := len(by[1]), by[1][len(by[1])/2]
	w.roll(waves...)
	w.setUnfit(bad, true)
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	w.end()
	before := w.schemas()
	w.start()
	t.Cleanup(func() { w.end() })
	// What is stored says that it has stopped; nobody else is let through.
	w.looks()
	if diff := cmp.Diff(before, w.schemas()); diff != "" {
		t.Error("after the restart:", diff)
	}
	w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	w.setUnfit(bad, false)
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.MaxFailures = 0; s.Paused = true })
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Paused = false })
	w.has(map[string]int{"v1": many - first, "v2": first})
	// A change while no server runs, and an undo, are seen too.
	w.end()
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Undo = 2 })
	w.start()
	w.has(map[string]int{"v1": many})
	w.is(annexv1alpha1.RolloutPhaseUndone, 2, 1)
	w.end()
}

// Objects of one consumer may be stored in a version that only it has had: its binding cannot follow, and says so.
func TestRollout_StopsAtABindingThatCannotFollow(t *testing.T) {
	const many = 60
	w := newWorld(t, many)
	w.roll(percent(100, true))
	waves, err := rules.WavesOf(provider, w.rollout())
	if err != nil {
		t.Fatal(err)
	}
	order := make([]logicalcluster.Name, many)
	for i := range order {
		order[i] = clusterOf(i)
	}
	slices.SortFunc(order, func(a, b logicalcluster.Name) int { return int(waves.Share(a)) - int(waves.Share(b)) })
	stuck := client.Key{Cluster: order[many/3], Name: "b"}
	binding := func() *apisv1alpha2.APIBinding {
		b, err := client.Find[apisv1alpha2.APIBinding](t.Context(), w.fake, bindings, stuck)
		if err != nil || b == nil {
			t.Fatal(b, err)
		}
		return b.DeepCopy()
	}
	w.eventually("it has another version", func() (string, bool) {
		b := binding()
		b.Status.BoundResources[0].StorageVersions = []string{"v0", "v1"}
		_, err := w.fake.Update(t.Context(), bindings, stuck.Cluster, b)
		return fmt.Sprint(err), err == nil
	})
	w.offer("v2")
	r := w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	if f := r.Status.Failures; len(f) != 1 || f[0].Cluster != stuck.Cluster.String() || f[0].Reason != apisv1alpha2.APIResourceSchemaInvalidReason {
		t.Errorf("failures: %+v", f)
	}
	w.eventually("those on their way have arrived", func() (string, bool) {
		now, updated := w.schemas(), w.rollout().Status.Updated
		return fmt.Sprint(now, updated), now["v2"] == int(updated)
	})
	before := w.schemas()
	w.end()
	w.start()
	t.Cleanup(func() { w.end() })
	w.looks()
	w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	if diff := cmp.Diff(before, w.schemas()); diff != "" || before["v1"] < 2 {
		t.Errorf("after a restart: %s, before %v", diff, before)
	}
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = []string{stuck.Cluster.String()} })
	w.has(map[string]int{"v1": 1, "v2": many - 1})
	w.eventually("the binding keeps what it has, and says no more", func() (string, bool) {
		b := binding()
		return fmt.Sprintf("%+v", b.Status), conditionsv1alpha1.IsTrue(b, apisv1alpha2.BindingUpToDate) && len(w.rollout().Status.Failures) == 0
	})
}

// A rollout that is created after the export has changed finds those that could not follow, and what it needs to know.
func TestRollout_RefusesWhatCannotBeUndone(t *testing.T) {
	w := newWorld(t, 10, schema("v4", "v2"))
	w.roll()
	w.offer("v4")
	r := w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	if got := conditionsv1alpha1.GetReason(r, annexv1alpha1.RolloutProgressing); got != annexv1alpha1.RolloutNotReversibleReason {
		t.Errorf("reason %q", got)
	}
	w.offer("v9")
	r = w.is(annexv1alpha1.RolloutPhaseStopped, 3, 1)
	if got := conditionsv1alpha1.GetReason(r, annexv1alpha1.RolloutProgressing); got != annexv1alpha1.RolloutSchemaNotFoundReason {
		t.Errorf("reason %q", got)
	}
	w.has(map[string]int{"v1": 10})
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhaseComplete, 4, 1)
	w.has(map[string]int{"v2": 10})
}

// A binding that is being deleted, and cannot be, holds nobody up.
func TestRollout_WaitsForNobodyWhoGoes(t *testing.T) {
	going := newBinding(100)
	going.Finalizers = []string{"example.com/hold"}
	w := newWorld(t, 0, going)
	w.has(map[string]int{"v1": 1})
	w.roll()
	if err := w.fake.Delete(t.Context(), bindings, client.KeyOf(going), nil); err != nil {
		t.Fatal(err)
	}
	w.offer("v2")
	if r := w.is(annexv1alpha1.RolloutPhaseComplete, 2, 1); r.Status.Consumers != 0 {
		t.Errorf("status: %+v", r.Status)
	}
}

// A consumer that changes the labels of its binding may choose an earlier wave, but cannot hold anything up, or avoid validation.
func TestRollout_LabelsOfConsumers(t *testing.T) {
	w := newWorld(t, 6)
	w.roll(annexv1alpha1.RolloutWave{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": "canary"}}, Pause: &annexv1alpha1.RolloutPause{}})
	label := func(i int, value string) {
		w.eventually("the binding has a label", func() (string, bool) {
			b, err := client.Find[apisv1alpha2.APIBinding](t.Context(), w.fake, bindings, client.Key{Cluster: clusterOf(i), Name: "b"})
			if err != nil {
				t.Fatal(err)
			}
			b = b.DeepCopy()
			if b.Labels == nil {
				b.Labels = map[string]string{}
			}
			b.Labels["ring"] = value
			_, err = w.fake.Update(t.Context(), bindings, clusterOf(i), b)
			return fmt.Sprint(err), err == nil
		})
	}
	label(0, "canary")
	w.offer("v2")
	w.is(annexv1alpha1.RolloutPhasePaused, 2, 1)
	w.has(map[string]int{"v1": 5, "v2": 1})
	w.setUnfit(clusterOf(1), true)
	label(1, "canary") // not valid, and so refused
	label(0, "stable") // stays where it is
	w.set(func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = []string{"nobody"} })
	w.is(annexv1alpha1.RolloutPhaseStopped, 2, 1)
	w.has(map[string]int{"v1": 5, "v2": 1})
}
