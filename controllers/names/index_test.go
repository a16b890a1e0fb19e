package names

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/naming"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// crdIn returns a definition that has its plural, and requests the singular.
func crdIn(cluster logicalcluster.Name, plural, singular string) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + ".example.com"}}
	crd.Spec.Group = "example.com"
	crd.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: singular}
	crd.Status.AcceptedNames = apiextensionsv1.CustomResourceDefinitionNames{Plural: plural}
	return clienttest.In(cluster, crd)
}

func holderIn(cluster logicalcluster.Name, plural string) Holder {
	return Holder{Resource: Definitions, Key: client.Key{Cluster: cluster, Name: plural + ".example.com"}}
}

func plural(name string) naming.Names { return naming.Names{Group: "example.com", Plural: name} }

type fixture struct {
	*Index
	t    *testing.T
	fake *clienttest.Fake

	mu     sync.Mutex
	queued []string
	lists  int
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	f := &fixture{t: t, fake: clienttest.NewFake(objects...)}
	f.Index = New(multicluster.Config{Client: f.fake, Live: f.fake})
	f.adders[Definitions] = func(key client.Key, _ time.Duration) { f.queued = append(f.queued, key.String()) }
	f.fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if verb == "list" {
			f.lists++
		}
		return nil
	})
	return f
}

// others returns the names of those that have the plural.
func (f *fixture) others(of Holder, name string) []string {
	f.t.Helper()
	defer f.Lock(of.Key.Cluster)()
	found, err := f.Others(f.t.Context(), f.fake, of, plural(name))
	if err != nil {
		f.t.Fatal(err)
	}
	f.Wait(of)
	var keys []string
	for _, r := range found {
		keys = append(keys, r.Key.String())
	}
	return keys
}

// wait has holder wait for a plural.
func (f *fixture) wait(holder Holder, name string) {
	f.t.Helper()
	defer f.Lock(holder.Key.Cluster)()
	if _, err := f.Others(f.t.Context(), f.fake, holder, plural(name)); err != nil {
		f.t.Fatal(err)
	}
	f.Wait(holder, plural(name))
}

// delete deletes a definition, and shows the event to the index.
func (f *fixture) delete(holder Holder) {
	f.t.Helper()
	obj, err := f.fake.Get(f.t.Context(), Definitions, holder.Key)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.fake.Delete(f.t.Context(), Definitions, holder.Key, nil); err != nil {
		f.t.Fatal(err)
	}
	if err := f.observe(f.t.Context(), Definitions, client.Event{Type: client.Deleted, Object: obj}); err != nil {
		f.t.Fatal(err)
	}
}

func TestIndex_ReadsAClusterOnce(t *testing.T) {
	var objects []client.Object
	for i := range 100 {
		objects = append(objects, crdIn("c1", fmt.Sprintf("things%d", i), ""))
	}
	f := newFixture(t, objects...)
	for i := range 100 {
		if got, want := f.others(holderIn("c1", "new"), fmt.Sprintf("things%d", i)), []string{fmt.Sprintf("c1|things%d.example.com", i)}; !slices.Equal(got, want) {
			t.Fatalf("things%d is had by %v", i, got)
		}
	}
	if got := f.others(holderIn("c2", "new"), "things1"); len(got) > 0 {
		t.Errorf("another cluster's names count: %v", got)
	}
	if f.lists != 4 {
		t.Errorf("%d lists for two clusters, want two for each", f.lists)
	}
	if len(f.locks.of) > 0 {
		t.Errorf("%d locks are left", len(f.locks.of))
	}
}

func TestIndex_QueuesWhoWaitsForWhatIsReleased(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""), crdIn("c1", "b", ""))
	f.wait(holderIn("c1", "x"), "a")
	f.wait(holderIn("c1", "y"), "b")
	f.wait(holderIn("c1", "z"), "a")
	f.wait(holderIn("c1", "z"), "b") // it no longer wants a
	f.delete(holderIn("c1", "a"))
	if want := []string{"c1|x.example.com"}; !slices.Equal(f.queued, want) {
		t.Errorf("queued %v, want %v", f.queued, want)
	}
	if got := f.others(holderIn("c1", "x"), "a"); len(got) > 0 {
		t.Errorf("the released name is had by %v", got)
	}
}

func TestIndex_WhatWasWrittenCountsBeforeItsEvent(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""))
	f.others(holderIn("c1", "b"), "b")
	crd, err := f.fake.Create(t.Context(), Definitions, "c1", crdIn("c1", "b", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Wrote(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	if got := f.others(holderIn("c1", "c"), "b"); len(got) != 1 {
		t.Errorf("b is had by %v", got)
	}
	// When the watch has shown that it is gone, who wrote it late does not bring it back.
	f.delete(holderIn("c1", "b"))
	if err := f.Wrote(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	if got := f.others(holderIn("c1", "c"), "b"); len(got) > 0 {
		t.Errorf("b, which is gone, is had by %v", got)
	}
}

func TestIndex_IgnoresEventsFromBeforeItRead(t *testing.T) {
	old := crdIn("c1", "a", "")
	f := newFixture(t, old)
	before, err := f.fake.Get(t.Context(), Definitions, holderIn("c1", "a").Key)
	if err != nil {
		t.Fatal(err)
	}
	newer := before.DeepCopyObject().(*apiextensionsv1.CustomResourceDefinition)
	newer.Status.AcceptedNames.Plural = "renamed"
	if _, err := f.fake.Update(t.Context(), Definitions, "c1", newer); err != nil {
		t.Fatal(err)
	}
	f.others(holderIn("c1", "b"), "b")
	if err := f.observe(t.Context(), Definitions, client.Event{Type: client.Modified, Object: before}); err != nil {
		t.Fatal(err)
	}
	if got := f.others(holderIn("c1", "b"), "renamed"); len(got) != 1 {
		t.Errorf("renamed is had by %v", got)
	}
}

func TestIndex_IsBounded(t *testing.T) {
	var objects []client.Object
	for i := range 100 {
		cluster := logicalcluster.Name(fmt.Sprintf("c%d", i))
		objects = append(objects, crdIn(cluster, "a", "a"), crdIn(cluster, "b", "b"), crdIn(cluster, "lacking", "a"))
	}
	f := newFixture(t, objects...)
	f.capacity = 50
	for i := range 100 {
		f.wait(holderIn(logicalcluster.Name(fmt.Sprintf("c%d", i)), "lacking"), "a")
	}
	if f.total > f.capacity || len(f.clusters) > f.capacity || f.used.Len() != len(f.clusters) {
		t.Errorf("%d names in %d clusters are kept, want at most %d", f.total, len(f.clusters), f.capacity)
	}
	// Who waits in a cluster that was dropped is found, and nobody elsewhere is bothered.
	f.delete(holderIn("c0", "a"))
	if !slices.Contains(f.queued, "c0|lacking.example.com") || slices.ContainsFunc(f.queued, func(key string) bool { return key[:3] != "c0|" }) {
		t.Errorf("queued %v", f.queued)
	}
}

// A cluster takes memory when it has no names, too: for example, because it was deleted.
func TestIndex_BoundsClustersWithoutNames(t *testing.T) {
	f := newFixture(t)
	f.capacity = 50
	for i := range 100 {
		f.others(holderIn(logicalcluster.Name(fmt.Sprintf("c%d", i)), "new"), "a")
	}
	if f.total > f.capacity || len(f.clusters) > f.capacity || f.used.Len() != len(f.clusters) {
		t.Errorf("%d names in %d clusters are kept, want at most %d", f.total, len(f.clusters), f.capacity)
	}
	f.Restart()
	if f.total != 0 || len(f.clusters) != 0 {
		t.Errorf("%d names in %d clusters are kept after a restart", f.total, len(f.clusters))
	}
}

// Nothing is kept of a cluster whose last names are gone, as those of a workspace are that is deleted, unless somebody still waits there.
func TestIndex_ForgetsWhatIsEmpty(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""), crdIn("c1", "b", ""), crdIn("c2", "a", ""))
	for _, cluster := range []logicalcluster.Name{"c1", "c2"} {
		f.others(holderIn(cluster, "new"), "a")
	}
	f.wait(holderIn("c2", "new"), "a")
	f.delete(holderIn("c1", "a"))
	if len(f.clusters) != 2 {
		t.Error("a cluster with a name is dropped")
	}
	f.delete(holderIn("c1", "b"))
	f.delete(holderIn("c2", "a"))
	if len(f.clusters) != 1 || f.clusters["c2"] == nil || !slices.Contains(f.queued, "c2|new.example.com") {
		t.Errorf("%d clusters are kept; queued are %v", len(f.clusters), f.queued)
	}
	if got := f.others(holderIn("c1", "new"), "a"); len(got) > 0 {
		t.Errorf("read again, it has %v", got)
	}
}

// While an event is read, its cluster may be dropped.
func TestIndex_WhatIsReleasedInAClusterThatIsBeingDroppedIsNotLost(t *testing.T) {
	binding := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	binding.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Group: "example.com", Resource: "a", Schema: apisv1alpha2.BoundAPIResourceSchema{UID: "uid"}}}
	f := newFixture(t, clienttest.In("c1", binding), crdIn("c1", "x", "a"))
	f.wait(holderIn("c1", "x"), "a")
	key := client.Key{Cluster: "c1", Name: "b"}
	obj, err := f.fake.Get(t.Context(), Bindings, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.fake.Delete(t.Context(), Bindings, key, nil); err != nil {
		t.Fatal(err)
	}
	f.fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if verb == "get" {
			f.Index.mu.Lock()
			defer f.Index.mu.Unlock()
			f.drop("c1")
		}
		return nil
	})
	if err := f.observe(t.Context(), Bindings, client.Event{Type: client.Deleted, Object: obj}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"c1|x.example.com"}; !slices.Equal(f.queued, want) {
		t.Errorf("queued %v, want %v", f.queued, want)
	}
}

// A restart drops a cluster even while somebody decides there, and the next event reads it again.
func TestIndex_WhoWroteBeforeARestartBringsNothingBack(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""))
	f.others(holderIn("c1", "b"), "b")
	crd, err := f.fake.Create(t.Context(), Definitions, "c1", crdIn("c1", "b", ""))
	if err != nil {
		t.Fatal(err)
	}
	f.Restart()
	f.delete(holderIn("c1", "b"))
	if err := f.Wrote(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	if got := f.others(holderIn("c1", "c"), "b"); len(got) > 0 {
		t.Errorf("b, which is gone, is had by %v", got)
	}
}

func TestIndex_RestartQueuesWhoWaits(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""))
	f.wait(holderIn("c1", "x"), "a")
	f.Restart()
	if want := []string{"c1|x.example.com"}; !slices.Equal(f.queued, want) || f.total != 0 || len(f.clusters) != 0 {
		t.Errorf("queued %v, want %v; %d names are kept", f.queued, want, f.total)
	}
}

func TestIndex_FeedsAControllerThatStartsLate(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""))
	delete(f.adders, Definitions)
	f.wait(holderIn("c1", "x"), "a")
	f.delete(holderIn("c1", "a"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	queued := make(chan client.Key, 1)
	go f.Feed(Definitions)(ctx, func(key client.Key, _ time.Duration) { queued <- key })
	if key := <-queued; key != holderIn("c1", "x").Key {
		t.Errorf("queued %s", key)
	}
}

// What was written before the index dropped a cluster may not be in the cache yet when an event has the cluster read again.
func TestIndex_AnEventDoesNotHaveItReadACacheThatIsBehind(t *testing.T) {
	f := newFixture(t, crdIn("c1", "a", ""))
	f.config.Client = clienttest.NewFake()
	event := client.Event{Type: client.Modified, Object: crdIn("c1", "x", "")}
	event.Object.SetResourceVersion("1")
	if err := f.observe(t.Context(), Definitions, event); err != nil {
		t.Fatal(err)
	}
	if got := f.others(holderIn("c1", "b"), "a"); !slices.Equal(got, []string{"c1|a.example.com"}) {
		t.Errorf("a is had by %v", got)
	}
}
