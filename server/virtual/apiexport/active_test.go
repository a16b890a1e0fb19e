package apiexport

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// activity is what the index of clusters knows.
type activity struct {
	mu       sync.Mutex
	off      map[logicalcluster.Name]bool
	switched uint64
	turns    int
}

func (a *activity) Inactive(cluster logicalcluster.Name) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.off[cluster]
}

func (a *activity) Switched() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.switched
}

// turn switches a consumer off or on, with a write as the server has one, and has its providers looked at.
func (w *world) turn(consumer logicalcluster.Name, off bool) {
	w.t.Helper()
	w.activity.turns++
	w.offer(fmt.Sprintf("turn-%d", w.activity.turns), "hash")
	list := w.must(request{target: "*", path: "/apis/apis.kcp.io/v1alpha2/apibindings"})
	w.activity.mu.Lock()
	if _, err := fmt.Sscan(list.GetResourceVersion(), &w.activity.switched); err != nil {
		w.t.Error(err)
	}
	w.activity.off = map[logicalcluster.Name]bool{consumer: off}
	w.activity.mu.Unlock()
	providers, err := Providers(w.t.Context(), w.client, consumer)
	if err != nil || len(providers) != 1 {
		w.t.Errorf("providers of %s: %v, %v", consumer, providers, err)
	}
	for _, provider := range providers {
		w.watches.Recheck(provider)
	}
}

func TestServe_ConsumersThatAreSwitchedOffDoNotShow(t *testing.T) {
	w := newWorldWithConsumers(t)
	for resource, names := range map[string][2]string{
		"/apis/example.com/v1/widgets":                {"c1|default/same", "c2|default/same"},
		"/apis/apis.kcp.io/v1alpha2/apibindings":      {"c1|/b", "c2|/b"},
		"/apis/apis.kcp.io/v1alpha1/apibindings":      {"c1|/b", "c2|/b"},
		"/apis/example.com/v1/widgets?labelSelector=": {"c1|default/same", "c2|default/same"},
	} {
		t.Run(path.Base(resource), func(t *testing.T) {
			// What is read of a provider before, while and after a consumer is off.
			before := w.must(request{target: "*", path: resource})
			if diff := cmp.Diff(names[:], items(before)); diff != "" {
				t.Error("before:", diff)
			}
			separator := "?"
			if strings.Contains(resource, "?") {
				separator = "&"
			}
			follow := resource + separator + "watch=true&resourceVersion=" + before.GetResourceVersion()
			open := w.watch(request{target: "*", path: follow})
			w.turn("c2", true)
			if got := open.next(); !strings.HasPrefix(got, "ERROR ") {
				t.Errorf("the open watch: %s, want an error that has clients list anew", got)
			}
			if got := open.next(); got != "end" {
				t.Errorf("after the error: %s", got)
			}
			during := w.must(request{target: "*", path: resource})
			if diff := cmp.Diff(names[:1], items(during)); diff != "" {
				t.Error("during:", diff)
			}
			if code, obj := w.do(request{target: "*", path: follow}); code != http.StatusGone || obj.Object["reason"] != "Expired" {
				t.Errorf("a watch that goes on from before: %d %v, want 410", code, obj.Object)
			}
			open = w.watch(request{target: "*", path: resource + separator + "watch=true&resourceVersion=" + during.GetResourceVersion()})
			w.turn("c2", false)
			if got := open.next(); !strings.HasPrefix(got, "ERROR ") {
				t.Errorf("when it is back: %s", got)
			}
			if diff := cmp.Diff(names[:], items(w.must(request{target: "*", path: resource}))); diff != "" {
				t.Error("after:", diff)
			}
		})
	}
	// Of one consumer the authorizer decides; nothing is filtered.
	w.turn("c2", true)
	w.must(request{target: "c2", path: widgetsIn + "/same"})
}

func TestServe_WatchesOfOtherProvidersGoOn(t *testing.T) {
	w := newWorld(t)
	w.offer("things", "hash-things", "widgets")
	w.bind("c1", "b", "things", "hash-things", "widgets")
	w.bind("c2", "b", "things", "hash-things", "widgets")
	watch := w.watch(request{target: "*", path: "/apis/example.com/v1/widgets?watch=true"})
	// A cluster that consumes nothing here is switched off.
	w.activity.mu.Lock()
	w.activity.switched, w.activity.off = 1, map[logicalcluster.Name]bool{"stranger": true}
	w.activity.mu.Unlock()
	if providers, err := Providers(t.Context(), w.client, "stranger"); err != nil || len(providers) > 0 {
		t.Errorf("providers of a stranger: %v, %v", providers, err)
	}
	w.must(request{method: http.MethodPost, target: "c1", path: widgetsIn, body: widget("w", "red")})
	if got := watch.next(); got != "ADDED c1|default/w" {
		t.Errorf("the watch: %s", got)
	}
}

func TestServe_ADamagedObjectKeepsNoProviderFromTheOthers(t *testing.T) {
	w := newWorldWithConsumers(t)
	list := w.must(request{target: "*", path: "/apis/example.com/v1/widgets"})
	watch := w.watch(request{target: "*", path: "/apis/example.com/v1/widgets?watch=true&resourceVersion=" + list.GetResourceVersion()})
	stored, err := w.etcd.Client.Get(t.Context(), "/annex/cr/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range stored.Kvs {
		if strings.Contains(string(kv.Key), "/c1/") {
			if _, err := w.etcd.Client.Put(t.Context(), string(kv.Key), "{not an object"); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.must(request{method: http.MethodPost, target: "c2", path: widgetsIn, body: widget("later", "red")})
	if got := watch.next(); got != "ADDED c2|default/later" {
		t.Errorf("the watch: %s", got)
	}
	if diff := cmp.Diff([]string{"c2|default/later", "c2|default/same"}, items(w.must(request{target: "*", path: "/apis/example.com/v1/widgets"}))); diff != "" {
		t.Error(diff)
	}
	if code, _ := w.do(request{target: "c1", path: widgetsIn + "/same"}); code != http.StatusInternalServerError {
		t.Errorf("the damaged object itself: %d, want 500", code)
	}
}
