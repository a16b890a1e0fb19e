package fairness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func unknownPath(logicalcluster.Name) (logicalcluster.Path, bool) { return "", false }

func newTestLine(t *testing.T, c Config) *line {
	t.Helper()
	if c.Wait == 0 {
		c.Wait = time.Minute
	}
	limiter := New(c, unknownPath, NewMetrics())
	limiter.HasRivals()
	l := limiter.line
	t.Cleanup(func() {
		eventually(t, "nothing is kept", func() bool {
			flows := 0
			for _, p := range []*pool{l.workspaces, l.tenants} {
				p.mu.Lock()
				flows += len(p.flows)
				p.mu.Unlock()
			}
			return flows == 0 && l.waiting.total() == 0
		})
	})
	return l
}

func (b *budget) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after two minutes: %s", what)
		}
	}
}

func mustAcquire(t *testing.T, l *line, flow, user string, seats int) (release func()) {
	t.Helper()
	release, err := l.acquire(t.Context(), own(flow), user, seats)
	if err != nil {
		t.Fatalf("a seat for %s in %s: %v", user, flow, err)
	}
	return release
}

// outcome is what acquire returned to one that may have to wait.
type outcome struct {
	release func()
	err     error
}

func inBackground(ctx context.Context, l *line, flow, user string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		release, err := l.acquire(ctx, own(flow), user, 1)
		out <- outcome{release, err}
	}()
	return out
}

func TestLine_AFloodWaitsForItself(t *testing.T) {
	l := newTestLine(t, Config{Seats: 2})
	held := []func(){mustAcquire(t, l, "busy", "mallory", 1), mustAcquire(t, l, "busy", "mallory", 1)}
	next := inBackground(t.Context(), l, "busy", "mallory")
	eventually(t, "the third request waits", func() bool { return l.waiting.total() == 1 })

	mustAcquire(t, l, "quiet", "alice", 1)()
	select {
	case <-next:
		t.Fatal("a third request of the busy flow has a seat")
	default:
	}
	held[0]()
	held[0]() // again, as a request does at its end that has given its seat back before
	got := <-next
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.release()
	held[1]()
}

func TestLine_AWideRequestHoldsSeveralSeats(t *testing.T) {
	l := newTestLine(t, Config{Seats: 4})
	wide := mustAcquire(t, l, "busy", "mallory", 4)
	next := inBackground(t.Context(), l, "busy", "mallory")
	eventually(t, "the next request waits", func() bool { return l.waiting.total() == 1 })
	wide()
	(<-next).release()
}

// In a workspace users take turns, and in a tenant its workspaces.
func TestLine_TheQuietTakeTurnsWithTheBusy(t *testing.T) {
	type who struct {
		share share
		user  string
	}
	for name, tc := range map[string]struct{ held, busy, quiet who }{
		"users":      {who{own("shared"), "mallory"}, who{own("shared"), "mallory"}, who{own("shared"), "alice"}},
		"workspaces": {who{share{"root:shared", "other"}, "bob"}, who{share{"root:shared", "busy"}, "mallory"}, who{share{"root:shared", "quiet"}, "mallory"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLine(t, Config{Seats: 1})
			held, err := l.acquire(t.Context(), tc.held.share, tc.held.user, 1)
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var order []who
			var wg sync.WaitGroup
			for i := range 9 {
				asks := tc.busy
				if i == 8 {
					asks = tc.quiet
				}
				wg.Go(func() {
					release, err := l.acquire(t.Context(), asks.share, asks.user, 1)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					order = append(order, asks)
					mu.Unlock()
					time.Sleep(5 * time.Millisecond) // turns are shares of time: what takes none is no share
					release()
				})
				eventually(t, fmt.Sprintf("request %d waits", i), func() bool { return l.waiting.total() == i+1 })
			}
			held()
			wg.Wait()
			if at := slices.Index(order, tc.quiet); at < 0 || at > len(order)/2+1 {
				t.Errorf("the one that came last was served as number %d of %v, want it long before the end", at, order)
			}
		})
	}
}

func TestLine_WorkspacesOfATenantWaitForEachOther(t *testing.T) {
	l := newTestLine(t, Config{Seats: 1})
	var waiting []<-chan outcome
	first, err := l.acquire(t.Context(), share{"root:busy", "child-0"}, "mallory", 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		out := make(chan outcome, 1)
		waiting = append(waiting, out)
		go func() {
			release, err := l.acquire(t.Context(), share{"root:busy", fmt.Sprintf("child-%d", i)}, "mallory", 1)
			out <- outcome{release, err}
		}()
		eventually(t, "it waits", func() bool { return l.waiting.total() == i+1 })
	}
	// Another tenant has seats of its own.
	for range 10 {
		release, err := l.acquire(t.Context(), share{"root:quiet", "elsewhere"}, "alice", 1)
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	if n := l.waiting.total(); n != len(waiting) {
		t.Errorf("%d requests of the busy tenant wait, want %d", n, len(waiting))
	}
	first()
	// One after the other; a seat that two of them had at once would show as none that waits.
	for served := range waiting {
		var release func()
		eventually(t, "one is served", func() bool {
			for _, out := range waiting {
				select {
				case got := <-out:
					if got.err != nil {
						t.Fatal(got.err)
					}
					release = got.release
					return true
				default:
				}
			}
			return false
		})
		if n := l.waiting.total(); n != len(waiting)-served-1 {
			t.Errorf("%d wait when %d were served", n, served+1)
		}
		release()
	}
}

func TestLine_WhoIsRefused(t *testing.T) {
	t.Run("the client goes", func(t *testing.T) {
		l := newTestLine(t, Config{Seats: 1})
		held := mustAcquire(t, l, "busy", "mallory", 1)
		ctx, cancel := context.WithCancel(t.Context())
		next := inBackground(ctx, l, "busy", "mallory")
		eventually(t, "it waits", func() bool { return l.waiting.total() == 1 })
		cancel()
		if got := <-next; !errors.Is(got.err, errGone) {
			t.Errorf("error %v, want %v", got.err, errGone)
		}
		held()
		mustAcquire(t, l, "busy", "mallory", 1)()
	})
	t.Run("it takes too long", func(t *testing.T) {
		l := newTestLine(t, Config{Seats: 1, Wait: 20 * time.Millisecond})
		held := mustAcquire(t, l, "busy", "mallory", 1)
		if _, err := l.acquire(t.Context(), own("busy"), "mallory", 1); !errors.Is(err, errTimeout) {
			t.Errorf("error %v, want %v", err, errTimeout)
		}
		held()
	})
	t.Run("there is no room to wait, but others have some", func(t *testing.T) {
		l := newTestLine(t, Config{Seats: 1, Waiting: 4})
		held := []func(){mustAcquire(t, l, "busy", "mallory", 1), mustAcquire(t, l, "quiet", "alice", 1)}
		var waiting []<-chan outcome
		for i := range 2 {
			waiting = append(waiting, inBackground(t.Context(), l, "busy", "mallory"))
			eventually(t, "it waits", func() bool { return l.waiting.total() == i+1 })
		}
		if _, err := l.acquire(t.Context(), own("busy"), "mallory", 1); !errors.Is(err, errFull) {
			t.Errorf("error %v, want %v", err, errFull)
		}
		waiting = append(waiting, inBackground(t.Context(), l, "quiet", "alice"))
		eventually(t, "the other one waits", func() bool { return l.waiting.total() == 3 })
		for _, release := range held {
			release()
		}
		for _, next := range waiting {
			got := <-next
			if got.err != nil {
				t.Fatal(got.err)
			}
			got.release()
		}
	})
}

func TestLine_WithoutLimits(t *testing.T) {
	l := newTestLine(t, Config{})
	var all []func()
	for range 200 {
		all = append(all, mustAcquire(t, l, "busy", "mallory", 4))
	}
	for _, s := range all {
		s()
	}
}

func BenchmarkLine(b *testing.B) {
	l := New(Config{Seats: 4, Waiting: 2000, Wait: time.Minute}, unknownPath, NewMetrics()).line
	b.ReportAllocs()
	for b.Loop() {
		release, err := l.acquire(b.Context(), share{"root:org", "quiet"}, "alice", 1)
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
