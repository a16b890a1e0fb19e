package fairness

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/nice"
	"github.com/annex-dev/annex/registry/nice/nicetest"
)

// tellWhether is a handler that writes whether the thread that serves the request gives way.
func tellWhether(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write([]byte(strconv.FormatBool(nicetest.GivesWay(t)))); err != nil {
			t.Error(err)
		}
	}
}

// givesWay returns what that handler writes.
func (w *world) givesWay(cluster, name string) bool {
	w.Helper()
	got := w.ask("list", cluster, name)
	gives, err := strconv.ParseBool(got.body)
	if err != nil || got.code != http.StatusOK {
		w.Fatalf("%+v", got)
	}
	return gives
}

// A tenant with several requests gives way at the processors while another one is active, and only then.
func TestFilter_ADemandingTenantGivesWay(t *testing.T) {
	hold := newGate()
	var held atomic.Int32
	w := newWorld(t, Config{Reads: 100, Seats: 10, Waiting: 10}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User") == "mallory" && r.Header.Get("Verb") == "get" {
			held.Add(1)
			hold.pass(w, r)
		}
		tellWhether(t)(w, r)
	})
	t.Cleanup(hold.open)
	if w.givesWay("busy", "mallory") {
		t.Error("the only request of a tenant gives way")
	}
	for range 3 {
		go w.ask("get", "busy", "mallory")
	}
	eventually(t, "the requests are at work", func() bool { return held.Load() == 3 })
	if !w.givesWay("busy", "mallory") {
		t.Error("one of many requests of a tenant does not give way")
	}
	for cluster, want := range map[logicalcluster.Name]bool{"busy": true, "quiet": false} {
		w.limiter.Work(t.Context(), cluster, func(context.Context) {
			if got := nicetest.GivesWay(t); got != want {
				t.Errorf("work for %s gives way: %t", cluster, got)
			}
		})
	}
	if w.givesWay("quiet", "alice") {
		t.Error("the only request of another tenant gives way")
	}
	for _, p := range []*pool{w.limiter.line.workspaces, w.limiter.line.tenants} {
		p.rivalry.mu.Lock()
		p.rivalry.last, p.rivalry.until = "busy", p.rivalry.seen
		p.rivalry.mu.Unlock()
	}
	if w.givesWay("busy", "mallory") {
		t.Error("a tenant that is alone gives way")
	}
}

// Requests that give way leave a processor free while others are served, not while they are served themselves.
func TestFilter_WhoIsPresent(t *testing.T) {
	hold := newGate()
	var held atomic.Int32
	w := newWorld(t, Config{Reads: 100, Seats: 10, Waiting: 10}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Verb") == "get" {
			held.Add(1)
			hold.pass(w, r)
		}
	})
	t.Cleanup(hold.open)
	for range 3 {
		go w.ask("get", "busy", "mallory")
	}
	eventually(t, "the requests are at work", func() bool { return held.Load() == 3 })
	eventually(t, "somebody is present after the request of a quiet tenant", func() bool {
		w.ask("list", "quiet", "alice")
		return nice.Present()
	})
	eventually(t, "nobody is present", func() bool { return !nice.Present() })
	w.ask("list", "busy", "mallory")
	if nice.Present() && w.limiter.line.shared() { // two seconds are enough, but for a very busy machine
		t.Error("somebody is present after a request that gives way")
	}
}

// A tenant whose request took long gives way for a while, though it has one request at a time, and so does a request with a large body; but
// only while another tenant is active.
func TestFilter_LongWorkGivesWay(t *testing.T) {
	w := newWorld(t, Config{Reads: 100, Seats: 10, Waiting: 10}, tellWhether(t))
	workspaces := w.limiter.line.workspaces
	now := time.Now()
	workspaces.note("busy", now.Add(-2*long), now)
	for _, p := range []*pool{workspaces, w.limiter.line.tenants} {
		p.rivalry.mu.Lock()
		p.rivalry.last, p.rivalry.until = "busy", now
		p.rivalry.mu.Unlock()
	}
	if w.givesWay("busy", "mallory") {
		t.Error("a tenant that is alone gives way")
	}
	if w.givesWay("quiet", "alice") {
		t.Error("a tenant with short requests gives way")
	}
	workspaces.note("busy", now.Add(-2*long), time.Now())
	if !w.givesWay("busy", "mallory") {
		t.Error("a tenant with a request that took long does not give way")
	}
	workspaces.note("busy", now.Add(-2*busyFor-2*long), now.Add(-2*busyFor))
	if w.givesWay("busy", "mallory") {
		t.Error("it gives way for ever")
	}
	for size, want := range map[int64]bool{0: false, largeBody - 1: false, largeBody: true, -1: true} {
		if got := isLarge(&http.Request{ContentLength: size}); got != want {
			t.Errorf("a body of %d bytes is large: %t", size, got)
		}
	}
}

// A watch lasts for long, so it takes no thread. Its parts that take long give way if its tenant has much work as it begins.
func TestFilter_PartsOfAWatchGiveWay(t *testing.T) {
	w := newWorld(t, Config{Reads: 100, Seats: 10, Waiting: 10, Watches: 10}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Verb") == "watch" {
			if nicetest.GivesWay(t) {
				t.Error("a watch takes a thread that gives way")
			}
			nice.Run(r.Context(), func(context.Context) { tellWhether(t)(w, r) })
		}
	})
	for _, cluster := range []string{"busy", "quiet"} {
		w.ask("list", cluster, "user")
	}
	now := time.Now()
	w.limiter.line.workspaces.note("busy", now.Add(-2*long), now)
	for cluster, want := range map[string]string{"busy": "true", "quiet": "false"} {
		if got := w.ask("watch", cluster, "user"); got.body != want {
			t.Errorf("%s: a part of a watch gives way: %q", cluster, got.body)
		}
	}
}

// Much work of the server for a workspace gives way, though nobody asks for anything, such as what many bindings need until they are
// established. Requests of the workspace do not: others may have caused the work.
func TestWork_GivesWayWhenThereIsMuch(t *testing.T) {
	w := newWorld(t, Config{Reads: 100, Seats: 10, Waiting: 10}, tellWhether(t))
	w.givesWay("busy", "mallory")
	w.givesWay("quiet", "alice")
	w.limiter.Work(t.Context(), "busy", func(context.Context) {
		begun := time.Now()
		eventually(t, "the work has taken long", func() bool { return time.Since(begun) >= long })
	})
	if w.givesWay("busy", "mallory") {
		t.Error("a request gives way because of work of the server")
	}
	for cluster, want := range map[logicalcluster.Name]bool{"busy": true, "quiet": false} {
		w.limiter.Work(t.Context(), cluster, func(context.Context) {
			if got := nicetest.GivesWay(t); got != want {
				t.Errorf("work for %s gives way: %t", cluster, got)
			}
		})
	}
}
