package storage

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// What this package leans on in stock libraries without their promise. When one of these fails after an upgrade, the
// named place has to change.

// select.go: a cacher asks a predicate's Field for IndexFields, and then sends the watch no event of another value. The
// watches here are of all keys, so that only the index can keep events from them.
func TestContract_TriggerIndexTakesAnyFieldSelector(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		stock, root, value := stockOf(s)
		rv := waitedRevision(t, in(t.Context(), "c1"), s)
		w, err := stock.Watch(t.Context(), root, apistorage.ListOptions{
			Recursive: true, ResourceVersion: rv, Predicate: watchcache.Indexed(apistorage.Everything, value("c1")),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		for _, cluster := range []string{"c0", "c1", "c2", "c11"} {
			create(t, in(t.Context(), cluster), s, newObject("default", "a"))
		}
		create(t, in(t.Context(), "c1"), s, newObject("default", "b"))
		expect(t, w, "ADDED c1|default/a", "ADDED c1|default/b")
	})
}

// stockOf returns the stock cacher below s, the root of its keys, and the index value of a cluster.
func stockOf(s *store) (apistorage.Interface, string, func(cluster string) string) {
	root, value := s.root, func(cluster string) string { return s.root + "/" + cluster }
	switch {
	case strings.HasPrefix(root, layout.CustomRoot+"/"):
		root, value = layout.ShardRoot(layout.ShardOf(widgets)), func(cluster string) string { return s.root + "/" + LocalBucket + "/" + cluster }
	}
	for _, c := range s.backend.main.caches.All() {
		if c.Root == root {
			return c, root + "/", value
		}
	}
	return nil, "", nil
}

// shard.go, attrs: a watch without index is filed under the namespace of its context, and events under the field
// metadata.namespace, which need not be the object's.
func TestContract_WatchesAreFiledByContextNamespaceAndField(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	stock, root, _ := stockOf(s)
	other := WithBucket(in(t.Context(), "c1"), "other")
	w, err := stock.Watch(watchcache.Unscoped(t.Context(), s.root+"/other"), root, apistorage.ListOptions{
		Recursive: true, ResourceVersion: waitedRevision(t, other, s), Predicate: apistorage.Everything,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	create(t, in(t.Context(), "c1"), s, widget("default", "crd", "red"))
	create(t, other, s, widget("default", "mine", "red"))
	expect(t, w, "ADDED c1|default/mine")
}

// watch.go: stock initial events walk the whole cache. When they no longer do, our own may go.
func TestContract_StockInitialEventsWalkEverything(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := configMapStore(t, b)
	waitReady(t, b)
	stock, root, _ := stockOf(s)
	create(t, in(t.Context(), "c1"), s, configMap("default", "mine"))
	cost := func() uint64 {
		return allocations(func() {
			opts := watchList
			opts.Predicate = watchcache.Complete(opts.Predicate)
			opts.SendInitialEvents = ptr.To(true)
			w, err := stock.Watch(t.Context(), root+"c1/", opts)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			for nextAny(t, w).Type != watch.Bookmark {
				continue
			}
		})
	}
	alone := cost()
	const foreign = 2000
	for i := range foreign {
		create(t, in(t.Context(), fmt.Sprint("other", i)), s, configMap("default", "theirs"))
	}
	waitSeen(t, s)
	if crowded := cost(); crowded < alone+foreign/4 {
		t.Errorf("stock initial events make %d allocations alone and %d among %d others: they seem not to walk everything any more", alone, crowded, foreign)
	}
}

// raw.go: a cacher wraps objects that are metav1.Object. One that it cannot wrap it logs as a whole, Secrets among them,
// at every event, and sends it bare (k8s.io/apiserver/pkg/storage/cacher/cacher.go, setCachingObjects).
func TestContract_CacherWrapsRawObjects(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	stock, root, _ := stockOf(s)
	w, err := stock.Watch(t.Context(), root, apistorage.ListOptions{Recursive: true, ResourceVersion: waitedRevision(t, in(t.Context(), "c1"), s), Predicate: apistorage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	ctx := in(t.Context(), "c1")
	create(t, ctx, s, widget("default", "a", "red"))
	update(t, ctx, s, widget("default", "a", ""), setColor("blue"))
	remove(t, ctx, s, widget("default", "a", ""))
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		select {
		case event := <-w.ResultChan():
			if event.Type != want {
				t.Fatalf("event %s, want %s", event.Type, want)
			}
			if _, ok := event.Object.(runtime.CacheableObject); !ok {
				t.Errorf("%s: object is a %T, not wrapped by the cacher", event.Type, event.Object)
			}
		case <-t.Context().Done():
			t.Fatal("no event")
		}
	}
}
