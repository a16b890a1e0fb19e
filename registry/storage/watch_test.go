package storage

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// watchList is how modern informers begin: initial events, and a bookmark at their end.
var watchList = apistorage.ListOptions{
	Recursive:            true,
	SendInitialEvents:    ptr.To(true),
	ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	Predicate:            apistorage.SelectionPredicate{AllowWatchBookmarks: true},
}

// initial reads events up to the bookmark that ends the initial ones.
func initial(tb testing.TB, w watch.Interface) []string {
	tb.Helper()
	found := []string{}
	for {
		event := nextAny(tb, w)
		if event.Type != watch.Bookmark {
			found = append(found, said(event))
			continue
		}
		o := event.Object.(metav1.Object)
		if o.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || o.GetResourceVersion() == "" {
			tb.Fatalf("bookmark %v at %q does not end initial events", o.GetAnnotations(), o.GetResourceVersion())
		}
		return found
	}
}

func TestWatch_SendsInitialEventsOfItsCluster(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := t.Context()
		for _, cluster := range []string{"c1", "c2"} {
			create(t, in(ctx, cluster), s, newObject("default", "a"))
			create(t, in(ctx, cluster), s, newObject("other", "b"))
		}
		c1 := in(ctx, "c1")
		w := startWatch(t, c1, s, s.root, watchList)
		if got := fmt.Sprint(initial(t, w)); got != "[ADDED c1|default/a ADDED c1|other/b]" {
			t.Errorf("initial events are %s", got)
		}
		namespaced := startWatch(t, genericapirequest.WithNamespace(c1, "other"), s, s.key("other"), watchList)
		if got := fmt.Sprint(initial(t, namespaced)); got != "[ADDED c1|other/b]" {
			t.Errorf("initial events of a namespace are %s", got)
		}
		empty := startWatch(t, in(ctx, "c3"), s, s.root, watchList)
		if got := initial(t, empty); len(got) != 0 {
			t.Errorf("initial events of an empty cluster are %s", got)
		}
		for _, rv := range []string{"", "0"} {
			legacy := startWatch(t, c1, s, s.root, apistorage.ListOptions{Recursive: true, ResourceVersion: rv})
			expect(t, legacy, "ADDED c1|default/a", "ADDED c1|other/b")
		}
		fromNow := apistorage.ListOptions{Recursive: true, SendInitialEvents: ptr.To(false), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
		later := startWatch(t, c1, s, s.root, fromNow)

		create(t, in(ctx, "c2"), s, newObject("default", "c"))
		created := create(t, c1, s, newObject("default", "c"))
		update(t, c1, s, created, func(o object) { o.SetLabels(map[string]string{"x": "y"}) })
		remove(t, c1, s, created)
		for _, one := range []watch.Interface{w, later} {
			expect(t, one, "ADDED c1|default/c", "MODIFIED c1|default/c", "DELETED c1|default/c")
		}
		create(t, in(ctx, "c3"), s, newObject("default", "first"))
		expect(t, empty, "ADDED c3|default/first")
		create(t, c1, s, newObject("other", "d"))
		expect(t, namespaced, "ADDED c1|other/d")
	})
}

func TestWatch_ResumesWithoutLoss(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		c1 := in(t.Context(), "c1")
		first := create(t, c1, s, newObject("default", "a"))
		for i := range 20 {
			create(t, in(t.Context(), "c2"), s, newObject("default", fmt.Sprint("noise", i)))
			create(t, c1, s, newObject("default", fmt.Sprint("n", i)))
		}
		w := startWatch(t, c1, s, s.root, apistorage.ListOptions{Recursive: true, ResourceVersion: first.GetResourceVersion()})
		for i := range 20 {
			expect(t, w, fmt.Sprintf("ADDED c1|default/n%d", i))
		}
		single := startWatch(t, c1, s, s.key("default", "n3"), apistorage.ListOptions{ResourceVersion: first.GetResourceVersion()})
		expect(t, single, "ADDED c1|default/n3")
		remove(t, c1, s, newObject("default", "n3"))
		expect(t, single, "DELETED c1|default/n3")
	})
}

// TestWatch_FromBeforeTheCacheIsGone is what a client meets that was away while the server started anew.
func TestWatch_FromBeforeTheCacheIsGone(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	old := create(t, in(t.Context(), "c1"), configMapStore(t, b), configMap("default", "a"))
	create(t, in(t.Context(), "c1"), widgetStore(t, b), widget("default", "a", "red"))
	b.Destroy()
	b = newTestBackend(t, client, coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	for _, s := range []*store{typed, custom} {
		w := startWatch(t, in(t.Context(), "c1"), s, s.root, apistorage.ListOptions{Recursive: true, ResourceVersion: old.GetResourceVersion()})
		if s == custom { // its cache begins after the widget, the last that was written
			w = startWatch(t, in(t.Context(), "c1"), s, s.root, apistorage.ListOptions{Recursive: true, ResourceVersion: "1"})
		}
		if got := next(t, w); got.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(got.Object)) {
			t.Errorf("%s: a watch from before begins with %v %v, want that it is gone", s.root, got.Type, got.Object)
		}
	}
}

func TestWatch_OfAllClusters(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := everywhere(t.Context())
		create(t, in(t.Context(), "c1"), s, newObject("default", "a"))
		create(t, in(t.Context(), "c2"), s, newObject("default", "b"))
		w := startWatch(t, ctx, s, s.root, watchList)
		if got := fmt.Sprint(initial(t, w)); got != "[ADDED c1|default/a ADDED c2|default/b]" {
			t.Errorf("initial events are %s", got)
		}
		create(t, in(t.Context(), "c2"), s, newObject("default", "a"))
		create(t, in(t.Context(), "c1"), s, newObject("other", "c"))
		expect(t, w, "ADDED c2|default/a", "ADDED c1|other/c")

		// Stock reflectors would lose one of the two, and take LIST after an error.
		if _, err := s.Watch(ctx, s.root, watchList); !apierrors.IsInvalid(err) {
			t.Errorf("initial events with equal names: %v, want invalid", err)
		}
		legacy := startWatch(t, ctx, s, s.root, recursive)
		expect(t, legacy, "ADDED c1|default/a", "ADDED c1|other/c", "ADDED c2|default/a", "ADDED c2|default/b")

		namespaced := genericapirequest.WithNamespace(ctx, "other")
		if got, _ := list(t, namespaced, s, s.key("other"), recursive); fmt.Sprint(got) != "[c1|other/c]" {
			t.Errorf("namespace other of all clusters holds %v", got)
		}
		inOther := startWatch(t, namespaced, s, s.key("other"), recursive)
		expect(t, inOther, "ADDED c1|other/c")
		byName := selecting(t, "metadata.name=a", apistorage.DefaultNamespaceScopedAttr)
		if got, _ := list(t, ctx, s, s.root, byName); fmt.Sprint(got) != "[c1|default/a c2|default/a]" {
			t.Errorf("objects called a of all clusters are %v", got)
		}
		byKey := byName
		byKey.Recursive = false
		if got, _ := list(t, genericapirequest.WithNamespace(ctx, "default"), s, s.key("default", "a"), byKey); fmt.Sprint(got) != "[c1|default/a c2|default/a]" {
			t.Errorf("objects default/a of all clusters are %v", got)
		}
		named := startWatch(t, genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(ctx, "default"), &genericapirequest.RequestInfo{Name: "a"}), s, s.key("default", "a"), byKey)
		expect(t, named, "ADDED c1|default/a", "ADDED c2|default/a")
		create(t, in(t.Context(), "c3"), s, newObject("default", "z"))
		create(t, in(t.Context(), "c3"), s, newObject("other", "z"))
		create(t, in(t.Context(), "c3"), s, newObject("default", "a"))
		expect(t, named, "ADDED c3|default/a")
		expect(t, inOther, "ADDED c3|other/z")
	})
}

// TestWatch_CostsWhatItsClusterHolds counts allocations, as a walk over the whole cache makes some for each object.
func TestWatch_CostsWhatItsClusterHolds(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		c1 := in(t.Context(), "c1")
		for i := range 10 {
			create(t, c1, s, newObject("default", fmt.Sprint("mine", i)))
		}
		cost := func() uint64 {
			return allocations(func() {
				ctx, cancel := context.WithCancel(c1)
				defer cancel()
				w, err := s.Watch(ctx, s.root, watchList)
				if err != nil {
					t.Fatal(err)
				}
				if got := len(initial(t, w)); got != 10 {
					t.Fatalf("%d initial events, want 10", got)
				}
				w.Stop()
			})
		}
		alone := cost()
		const foreign = 2000
		for i := range foreign {
			create(t, in(t.Context(), fmt.Sprint("other", i)), s, newObject("default", "theirs"))
		}
		waitSeen(t, s)
		if crowded := cost(); crowded > alone+foreign/4 {
			t.Errorf("initial events of 10 objects make %d allocations alone, %d among %d of other clusters", alone, crowded, foreign)
		}
	})
}

// waitSeen waits until the watch cache holds what was written.
func waitSeen(tb testing.TB, s *store) {
	tb.Helper()
	list(tb, in(tb.Context(), "nobody"), s, s.root, recursive)
}

// allocations returns the least number of allocations that fn makes in some runs, since other goroutines make some too.
func allocations(fn func()) uint64 {
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}

func TestCustomResources_WatchBySelectableField(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	c1 := in(t.Context(), "c1")
	blue := selecting(t, "spec.color=blue", widgetAttrs)

	before := create(t, c1, s, widget("default", "before", "red"))
	create(t, c1, s, widget("default", "stays", "blue"))
	create(t, c1, s, widget("default", "leaves", "blue"))
	create(t, c1, s, widget("default", "comes", "red"))
	create(t, in(t.Context(), "c2"), s, widget("default", "foreign", "blue"))
	if got, _ := list(t, c1, s, s.root, blue); fmt.Sprint(got) != "[c1|default/leaves c1|default/stays]" {
		t.Errorf("blue are %v", got)
	}

	start := waitedRevision(t, c1, s)
	fresh := startWatch(t, c1, s, s.root, blue)
	expect(t, fresh, "ADDED c1|default/leaves", "ADDED c1|default/stays")
	resumed := func(rv string) watch.Interface {
		opts := blue
		opts.ResourceVersion = rv
		return startWatch(t, c1, s, s.root, opts)
	}
	early := resumed(start)

	update(t, c1, s, before, func(o object) { o.SetLabels(map[string]string{"a": "b"}) })
	update(t, c1, s, widget("default", "stays", ""), func(o object) { o.SetLabels(map[string]string{"a": "b"}) })
	left := update(t, c1, s, widget("default", "leaves", ""), setColor("red"))
	update(t, c1, s, widget("default", "leaves", ""), setColor("green"))
	update(t, c1, s, widget("default", "comes", ""), setColor("blue"))
	update(t, in(t.Context(), "c2"), s, widget("default", "foreign", ""), setColor("red"))
	remove(t, c1, s, widget("default", "leaves", ""))
	remove(t, c1, s, widget("default", "stays", ""))

	for name, w := range map[string]watch.Interface{"from a list": fresh, "from a revision": early, "from a revision in the past": resumed(start)} {
		expect(t, w, "MODIFIED c1|default/stays")
		gone := next(t, w)
		if got := said(gone); got != "DELETED c1|default/leaves" {
			t.Fatalf("%s: event %q, want that the object left", name, got)
		}
		o := gone.Object.(*unstructured.Unstructured)
		if color, _, _ := unstructured.NestedString(o.Object, "spec", "color"); color != "blue" {
			t.Errorf("%s: the object that left is %s, want its last state that matched", name, color)
		}
		if o.GetResourceVersion() != left.GetResourceVersion() {
			t.Errorf("%s: it left at %s, want %s", name, o.GetResourceVersion(), left.GetResourceVersion())
		}
		expect(t, w, "ADDED c1|default/comes", "DELETED c1|default/stays")
	}
}

// waitedRevision returns the revision at which the watch cache holds everything.
func waitedRevision(tb testing.TB, ctx context.Context, s *store) string {
	tb.Helper()
	_, l := list(tb, ctx, s, s.root, recursive)
	return l.GetResourceVersion()
}

func TestCustomResources_SelectByLabelAndField(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	c1 := in(t.Context(), "c1")
	both := selecting(t, "spec.color=blue", widgetAttrs)
	both.Predicate.Label = labels.SelectorFromSet(labels.Set{"on": "yes"})
	w := startWatch(t, c1, s, s.root, both)
	label := func(v string) func(object) {
		return func(o object) { o.SetLabels(map[string]string{"on": v}) }
	}
	create(t, c1, s, widget("default", "a", "blue"))
	update(t, c1, s, widget("default", "a", ""), label("yes"))
	update(t, c1, s, widget("default", "a", ""), label("no"))
	update(t, c1, s, widget("default", "a", ""), setColor("red"))
	update(t, c1, s, widget("default", "a", ""), label("yes"))
	update(t, c1, s, widget("default", "a", ""), setColor("blue"))
	remove(t, c1, s, widget("default", "a", ""))
	expect(t, w, "ADDED c1|default/a", "DELETED c1|default/a", "ADDED c1|default/a", "DELETED c1|default/a")
}

func TestCustomResources_PageBySelectableField(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	c1 := in(t.Context(), "c1")
	const total, every = 1300, 100 // more than two scans
	want := 0
	for i := range total {
		color := "red"
		if i%every == every-1 {
			color = "blue"
			want++
		}
		create(t, c1, s, widget("default", fmt.Sprintf("w%05d", i), color))
	}
	page := selecting(t, "spec.color=blue", widgetAttrs)
	page.Predicate.Limit = 3
	var got []string
	var revision string
	for {
		some, l := list(t, c1, s, s.root, page)
		if len(some) > 3 {
			t.Fatalf("a page holds %d objects, want 3 at most", len(some))
		}
		if revision != "" && l.GetResourceVersion() != revision {
			t.Errorf("pages are of revisions %s and %s", revision, l.GetResourceVersion())
		}
		revision = l.GetResourceVersion()
		got = append(got, some...)
		if page.Predicate.Continue = l.GetContinue(); page.Predicate.Continue == "" {
			break
		}
		remove(t, c1, s, widget("default", fmt.Sprintf("w%05d", total-len(got)), "")) // pages show one revision
	}
	if len(got) != want {
		t.Errorf("pages hold %d objects, want %d: %v", len(got), want, got)
	}
	rare := selecting(t, fmt.Sprintf("metadata.name=w%05d", total/2), widgetAttrs)
	rare.Predicate.Limit = 1
	if got, _ := list(t, c1, s, s.root, rare); len(got) != 1 {
		t.Errorf("by name: %v", got)
	}
}

func TestCustomResources_BucketsAreApart(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	ctx := t.Context()
	bucket := func(cluster, bucket string) context.Context { return WithBucket(in(ctx, cluster), bucket) }
	wildcard := func(bucket string) context.Context {
		return WithBucket(logicalcluster.WithWildcard(ctx), bucket)
	}
	if _, err := s.Watch(logicalcluster.WithCluster(ctx, "c1"), s.root, recursive); !apierrors.IsInternalError(err) {
		t.Errorf("a watch without bucket: %v", err)
	}
	if _, _, err := tryList(WithBucket(in(ctx, "c1"), "../crd"), s, s.root, recursive); !apierrors.IsBadRequest(err) {
		t.Errorf("a malformed bucket: %v", err)
	}
	w1, w2 := startWatch(t, wildcard("id1"), s, s.root, watchList), startWatch(t, wildcard("id2"), s, s.root, watchList)
	initial(t, w1)
	initial(t, w2)
	create(t, bucket("c1", "id1"), s, widget("default", "w", "red"))
	create(t, bucket("c2", "id1"), s, widget("default", "w", "red"))
	create(t, bucket("c1", "id2"), s, widget("default", "w", "red"))
	remove(t, bucket("c2", "id1"), s, widget("default", "w", ""))
	create(t, bucket("c3", "id2"), s, widget("default", "w", "red"))
	expect(t, w1, "ADDED c1|default/w", "ADDED c2|default/w", "DELETED c2|default/w")
	expect(t, w2, "ADDED c1|default/w", "ADDED c3|default/w")
	if got, _ := list(t, wildcard("id2"), s, s.root, recursive); fmt.Sprint(got) != "[c1|default/w c3|default/w]" {
		t.Errorf("id2 holds %v", got)
	}
	if got, _ := list(t, in(ctx, "c1"), s, s.root, recursive); len(got) != 0 {
		t.Errorf("the cluster's own CRD has %v, want nothing", got)
	}
}

// signal notes that a watch has begun.
type signal chan struct{}

func (s signal) Signal() { close(s) }
func (s signal) Wait()   {}

// Whoever waits until a watch has begun, as the seat of its request does, waits until its initial events are made.
func TestWatch_HasBegunAfterItsInitialEvents(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		const objects = 60
		c1 := in(t.Context(), "c1")
		for i := range objects {
			create(t, c1, s, newObject("default", fmt.Sprint("n", i)))
		}
		begun := make(signal)
		w := startWatch(t, flowcontrol.WithInitializationSignal(c1, begun), s, s.root, watchList)
		for range objects / 2 {
			nextAny(t, w)
		}
		select {
		case <-begun:
			t.Error("it says that it has begun in the middle of its initial events")
		default:
		}
		initial(t, w)
		select {
		case <-begun:
		case <-time.After(time.Minute):
			t.Error("it does not say that it has begun")
		}
	})
}

// A watch with a selector shows an object that does not match any more as it was. Everybody else gets it as it is, at the same version.
func TestWatch_WithASelectorShowsWhatWasThere(t *testing.T) {
	const label = "state"
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		for name, others := range map[string]bool{"alone": false, "others": true} {
			ctx := in(t.Context(), "c1")
			first := create(t, ctx, s, newObject(name, "first"))
			old := newObject(name, "a")
			old.SetLabels(map[string]string{label: "old"})
			old = create(t, ctx, s, old)
			options := apistorage.ListOptions{ResourceVersion: first.GetResourceVersion(), Recursive: true, Predicate: apistorage.Everything}
			want := map[watch.Interface]watch.EventType{}
			if others {
				want[startWatch(t, ctx, s, s.key(name), options)] = watch.Modified
			}
			options.Predicate.Label = labels.SelectorFromSet(labels.Set{label: "old"})
			want[startWatch(t, ctx, s, s.key(name), options)] = watch.Deleted
			for w := range want {
				expect(t, w, "ADDED c1|"+name+"/a")
			}
			changed := update(t, ctx, s, old, func(o object) { o.SetLabels(map[string]string{label: "new"}) })
			for w, kind := range want {
				event := next(t, w)
				got, state := event.Object.(metav1.Object), "new"
				if kind == watch.Deleted {
					state = "old"
				}
				if event.Type != kind || got.GetLabels()[label] != state || got.GetResourceVersion() != changed.GetResourceVersion() {
					t.Errorf("%s: got %s of %v at %s, want %s of %s at %s", name, event.Type, got.GetLabels(), got.GetResourceVersion(), kind, state, changed.GetResourceVersion())
				}
			}
			// What was there is not taken for what is there: neither by reads, nor by writes, which begin with what is cached.
			cached := s.newFunc()
			if err := s.Get(ctx, keyFor(s, old), apistorage.GetOptions{ResourceVersion: changed.GetResourceVersion()}, cached); err != nil {
				t.Fatal(err)
			}
			again := update(t, ctx, s, old, func(o object) { o.SetAnnotations(map[string]string{"another": "change"}) })
			for what, got := range map[string]metav1.Object{"a read": cached.(object), "a write": again} {
				if got.GetLabels()[label] != "new" {
					t.Errorf("%s: %s finds %v", name, what, got.GetLabels())
				}
			}
		}
	})
}
