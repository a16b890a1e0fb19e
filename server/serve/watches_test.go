package serve

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// patience is how long tests wait for what must happen.
const patience = 30 * time.Second

func ends(ctx context.Context, t *testing.T, what string) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Errorf("%s goes on", what)
	}
}

// idle waits until no goroutine looks at watches any more.
func idle(t *testing.T, w *Watches) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		w.mu.Lock()
		running, left := w.running, len(w.changed)
		w.mu.Unlock()
		if running == 0 && left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines look at %d clusters", running, left)
		}
	}
}

func TestWatches_EndWhenTheirConditionDoes(t *testing.T) {
	w := NewWatches()
	var off sync.Map
	while := func(cluster logicalcluster.Name) Condition {
		return Condition{Cluster: cluster, Holds: func(context.Context) bool {
			_, is := off.Load(cluster)
			return !is
		}}
	}
	team, teamDone := w.Hold(t.Context(), while("team"))
	org, orgDone := w.Hold(t.Context(), while("org"))
	w.Recheck("team")
	idle(t, w)
	if team.Err() != nil || org.Err() != nil {
		t.Error("a change that leaves the condition true ends a watch")
	}
	off.Store(logicalcluster.Name("team"), true)
	w.Recheck("team")
	ends(team, t, "a watch whose condition is false")
	if org.Err() != nil {
		t.Error("so does another")
	}
	late, lateDone := w.Hold(t.Context(), while("team"))
	if late.Err() == nil {
		t.Error("a watch begins whose condition is false")
	}
	// Who has missed changes cannot say where.
	off.Store(logicalcluster.Name("org"), true)
	w.Recheck("")
	ends(org, t, "a watch after changes that were missed")
	idle(t, w)
	for _, done := range []func(){teamDone, orgDone, lateDone} {
		done()
	}
	w.Recheck("team")
	w.Recheck("")
	if len(w.open) != 0 || len(w.changed) != 0 || w.running != 0 {
		t.Errorf("without a watch: %v, %v, %d goroutines", w.open, w.changed, w.running)
	}
}

// A condition may ask what tells of changes, and may take its time: neither the registry nor other clusters wait for it.
func TestWatches_SlowConditionsKeepNobodyWaiting(t *testing.T) {
	w := NewWatches()
	var looking, most atomic.Int32
	var slow atomic.Bool
	release := make(chan struct{})
	const clusters = 3 * maxRechecks
	for i := range clusters {
		cluster := logicalcluster.Name(fmt.Sprintf("slow%d", i))
		_, done := w.Hold(t.Context(), Condition{Cluster: cluster, Holds: func(ctx context.Context) bool {
			w.Recheck("nobody") // the lock is free
			if !slow.Load() {
				return true
			}
			n := looking.Add(1)
			defer looking.Add(-1)
			for m := most.Load(); m < n; m = most.Load() {
				most.CompareAndSwap(m, n)
			}
			select {
			case <-release:
			case <-ctx.Done():
			}
			return true
		}})
		defer done()
	}
	slow.Store(true)
	w.Recheck("")
	ctx, done := w.Hold(t.Context(), Condition{Cluster: "quick", Holds: func(context.Context) bool { return true }})
	if ctx.Err() != nil {
		t.Error("a watch does not begin")
	}
	done()
	close(release)
	idle(t, w)
	if n := most.Load(); n > maxRechecks {
		t.Errorf("%d goroutines look at watches, want at most %d", n, maxRechecks)
	}
}

// Whatever happens at the same time: a watch never outlives its condition.
func TestWatches_MissNoChange(t *testing.T) {
	w := NewWatches()
	const rounds = 200
	var all sync.WaitGroup
	for range rounds {
		var off atomic.Bool
		begun := make(chan context.Context, 1)
		all.Go(func() {
			off.Store(true)
			w.Recheck("c")
		})
		all.Go(func() {
			ctx, _ := w.Hold(t.Context(), Condition{Cluster: "c", Holds: func(context.Context) bool { return !off.Load() }})
			begun <- ctx
		})
		ends(<-begun, t, "a watch")
	}
	all.Wait()
	idle(t, w)
}
