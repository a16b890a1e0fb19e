package garbage

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var configMaps = schema.GroupResource{Resource: "configmaps"}

// newHead returns a head of a ConfigMap whose UID is its name, and which those called owners own.
func newHead(cluster logicalcluster.Name, name string, owners ...string) client.Head {
	h := client.Head{Resource: configMaps, Cluster: cluster, Namespace: "default", Name: name, UID: types.UID(name)}
	for _, owner := range owners {
		name, blocks := strings.CutPrefix(owner, "!")
		h.OwnerReferences = append(h.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: name, UID: types.UID(name), BlockOwnerDeletion: &blocks})
	}
	return h
}

// deletingHead returns h in a deletion with a finalizer.
func deletingHead(h client.Head, finalizer string) client.Head {
	h.DeletionTimestamp, h.Finalizers = new(metav1.Now()), []string{finalizer}
	return h
}

// feeder hands events to a graph that has been shown what exists.
type feeder struct {
	*graph
	t *testing.T
}

func newFeeder(t *testing.T) *feeder {
	f := &feeder{newGraph(), t}
	f.handle(client.HeadEvent{Type: client.Reset, Source: "s"})
	f.handle(client.HeadEvent{Type: client.Synced, Source: "s"})
	f.handle(client.HeadEvent{Type: client.Synced})
	return f
}

// feed hands over an event and checks which work it makes, each as cluster/what/name, in any order.
func (f *feeder) feed(event client.EventType, h client.Head, want ...string) {
	f.t.Helper()
	f.check(f.handle(client.HeadEvent{Type: event, Source: "s", Head: h}), want...)
}

func (f *feeder) check(keys []client.Key, want ...string) {
	f.t.Helper()
	var got []string
	for _, key := range keys {
		name := key.Name
		if n, ok := parseKeyName(name); ok {
			name = n.name
		}
		got = append(got, fmt.Sprintf("%s/%s/%s", key.Cluster, key.Namespace, name))
	}
	slices.Sort(got)
	slices.Sort(want)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		f.t.Errorf("work is %q, want %q", got, want)
	}
}

// know has the graph know the state of an owner of objects in default.
func (f *feeder) know(cluster logicalcluster.Name, owner string, is state, want ...string) {
	f.t.Helper()
	f.check(f.decide(cluster, ownerID{apiVersion: "v1", kind: "ConfigMap", name: owner, uid: types.UID(owner), namespace: "default"}, is), want...)
}

func TestGraph_KeepsNothingWithoutOwners(t *testing.T) {
	f := newFeeder(t)
	for i := range 100 {
		h := newHead("c1", fmt.Sprint("n", i))
		f.feed(client.Added, h)
		f.feed(client.Modified, h)
		f.feed(client.Modified, deletingHead(h, "example.com/hold"))
		f.feed(client.Deleted, h)
	}
	if len(f.clusters) > 0 {
		t.Errorf("it keeps %v", f.clusters)
	}
}

func TestGraph_ForgetsWhatGoes(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Added, newHead("c1", "a", "!o", "p", "o"), "c1/owner/o", "c1/owner/p")
	f.feed(client.Modified, newHead("c1", "a", "p"))
	f.feed(client.Added, newHead("c1", "b", "p"))
	f.feed(client.Added, newHead("c2", "a", "p"), "c2/owner/p")
	f.feed(client.Modified, newHead("c2", "a"))
	f.feed(client.Deleted, newHead("c1", "a", "p"))
	if c := f.clusters["c1"]; len(f.clusters) != 1 || len(c.objects) != 1 || len(c.named) != 1 || len(c.owners) != 1 {
		t.Errorf("it keeps %v", f.clusters)
	}
	f.feed(client.Modified, client.Head{Resource: configMaps, Cluster: "c1", Namespace: "default", Name: "b", Damaged: true})
	f.feed(client.Added, deletingHead(newHead("c1", "o"), metav1.FinalizerOrphanDependents), "c1//")
	f.feed(client.Modified, newHead("c1", "o"))
	if len(f.clusters) > 0 {
		t.Errorf("it keeps %v", f.clusters)
	}
}

func TestGraph_OwnersAreOfTheirOwnCluster(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Added, newHead("c1", "a", "o"), "c1/owner/o")
	f.feed(client.Added, newHead("c2", "a", "o"), "c2/owner/o")
	f.know("c1", "o", present)
	f.know("c2", "o", present)
	f.feed(client.Modified, deletingHead(newHead("c2", "o"), metav1.FinalizerDeleteDependents), "c2/object/a", "c2//")
	f.feed(client.Deleted, newHead("c2", "o"), "c2/object/a")
	if f.clusters["c1"].foreground("o") || f.clusters["c1"].named[idOf(newHead("c1", "a", "o").OwnerReferences[0], "default")].state != present {
		t.Error("the owner in the other cluster is gone")
	}
	h := newHead("c1", "a", "o")
	if v := f.judge(&h); !v.decided || len(v.solid) != 1 {
		t.Errorf("the verdict is %+v", v)
	}
}

func TestGraph_OwnerGoesBeforeItsDependentsAreSeen(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Deleted, newHead("c1", "o"))
	f.feed(client.Added, newHead("c1", "a", "o"), "c1/owner/o")
	f.know("c1", "o", absent, "c1/object/a")
	// Whoever comes later need not look again.
	f.feed(client.Added, newHead("c1", "b", "o"), "c1/object/b")
	// What was found before the deletion does not count.
	f.feed(client.Added, newHead("c1", "c", "p"), "c1/owner/p")
	f.feed(client.Deleted, newHead("c1", "p"), "c1/object/c")
	f.know("c1", "p", present)
	h := newHead("c1", "c", "p")
	if v := f.judge(&h); !v.decided || len(v.dangling) != 1 {
		t.Errorf("the verdict is %+v", v)
	}
}

func TestGraph_ForegroundDeletionWaitsForThoseThatBlock(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Added, newHead("c1", "a", "!o"), "c1/owner/o")
	f.feed(client.Added, newHead("c1", "b", "!o", "q"), "c1/owner/q")
	f.feed(client.Added, newHead("c1", "c", "o"))
	f.know("c1", "o", present)
	f.feed(client.Modified, deletingHead(newHead("c1", "o"), metav1.FinalizerDeleteDependents), "c1/object/a", "c1/object/b", "c1/object/c")
	f.feed(client.Added, newHead("c1", "late", "o"), "c1/object/late")
	f.feed(client.Deleted, newHead("c1", "late", "o"))
	f.feed(client.Deleted, newHead("c1", "a", "!o"))
	f.feed(client.Modified, newHead("c1", "b", "o", "q"), "c1//", "c1/object/b")
	if taken, more := f.takeEnding("c1"); more || !slices.Equal(taken, []types.UID{"o"}) {
		t.Errorf("ending are %v", taken)
	}
}

func TestGraph_AnObjectThatOwnsItselfDoesNotWaitForItself(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Added, newHead("c1", "a", "!a"), "c1/owner/a")
	f.know("c1", "a", present)
	f.feed(client.Modified, deletingHead(newHead("c1", "a", "!a"), metav1.FinalizerDeleteDependents), "c1//", "c1/object/a")
}

func TestGraph_KindsThatComeLater(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Added, newHead("c1", "a", "o", "p"), "c1/owner/o", "c1/owner/p")
	f.feed(client.Added, newHead("c2", "a", "o"), "c2/owner/o")
	f.know("c1", "p", absent, "c1/object/a")
	h := newHead("c1", "a", "o", "p")
	if v := f.judge(&h); v.decided {
		t.Errorf("decided %+v, although one owner is not known", v)
	}
	for _, resource := range []schema.GroupResource{definitions, bindings} {
		f.feed(client.Added, client.Head{Resource: resource, Cluster: "c1", Name: "x", UID: "x"}, "c1/owner/o")
		f.feed(client.Added, client.Head{Resource: resource, Cluster: "c3", Name: "x", UID: "x"})
	}
	f.know("c1", "o", present, "c1/object/a")
	if v := f.judge(&h); !v.decided || len(v.solid) != 1 || len(v.dangling) != 1 {
		t.Errorf("the verdict is %+v", v)
	}
}

func TestGraph_LooksAgainWhenASourceBeginsAnew(t *testing.T) {
	f := newFeeder(t)
	f.feed(client.Added, newHead("c1", "a", "!o"), "c1/owner/o")
	f.feed(client.Added, newHead("c1", "b", "a"), "c1/owner/a")
	f.feed(client.Added, newHead("c1", "c", "p"), "c1/owner/p")
	f.know("c1", "o", present)
	f.know("c1", "a", present)
	f.feed(client.Modified, deletingHead(newHead("c1", "o"), metav1.FinalizerDeleteDependents), "c1/object/a")
	f.handle(client.HeadEvent{Type: client.Reset, Source: "s"})
	f.feed(client.Added, newHead("c1", "b", "a"))
	f.feed(client.Added, newHead("c1", "c", "p"))
	f.feed(client.Added, deletingHead(newHead("c1", "o"), metav1.FinalizerDeleteDependents))
	// Object a went meanwhile, so owner o is no longer blocked.
	f.check(f.handle(client.HeadEvent{Type: client.Synced, Source: "s"}), "c1/object/b", "c1/owner/p", "c1//")
}

func TestGraph_NothingIsDoneBeforeAllIsShown(t *testing.T) {
	f := &feeder{newGraph(), t}
	f.handle(client.HeadEvent{Type: client.Reset, Source: "s"})
	f.feed(client.Added, newHead("c1", "a", "!o"))
	f.feed(client.Added, deletingHead(newHead("c1", "p"), metav1.FinalizerOrphanDependents))
	f.check(f.handle(client.HeadEvent{Type: client.Synced, Source: "s"}))
	f.check(f.handle(client.HeadEvent{Type: client.Synced}), "c1/owner/o", "c1//")
}

// References to one UID need not agree. None of this takes more than the events are worth.
func TestGraph_ManyNamesForOneOwner(t *testing.T) {
	f := newFeeder(t)
	const many = 20000
	head := func(i int) client.Head {
		h := newHead("c1", fmt.Sprint("n", i), "!o")
		h.OwnerReferences[0].Name = fmt.Sprint("name", i)
		return h
	}
	for i := range many {
		f.handle(client.HeadEvent{Type: client.Added, Source: "s", Head: head(i)})
	}
	if c := f.clusters["c1"]; len(c.named) != many || len(c.owners) != 1 || !c.blocked("o") {
		t.Errorf("%d names, %d owners", len(c.named), len(c.owners))
	}
	for i := range many {
		f.handle(client.HeadEvent{Type: client.Deleted, Source: "s", Head: head(i)})
	}
	if len(f.clusters) > 0 {
		t.Errorf("it keeps %v", f.clusters)
	}
}

// What the graph takes grows with objects that have owners; see docs/scale.md.
func TestGraph_Size(t *testing.T) {
	const many, most = 20000, 768 // bytes for each
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	f := newFeeder(t)
	before := heap()
	for i := range many {
		h := newHead("2f8kq1z0c7a9x3bd", fmt.Sprintf("some-name-of-an-object-%d", i), "!owner-of-all")
		h.UID = types.UID(fmt.Sprintf("5a9f7d5c-24b5-4b10-8f0c-%012d", i))
		f.handle(client.HeadEvent{Type: client.Added, Source: "s", Head: h})
	}
	each := (heap() - before) / many
	t.Logf("%d bytes for each object", each)
	if each > most {
		t.Errorf("an object takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(f)
}
