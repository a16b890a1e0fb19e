package fairness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func newTestPool(t *testing.T, c Config) *pool {
	t.Helper()
	if c.Wait == 0 {
		c.Wait = time.Minute
	}
	p := New(c, NewMetrics()).pool
	p.rivalry.until = time.Now().Add(time.Hour) // others are there
	t.Cleanup(func() {
		eventually(t, "nothing is kept", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.flows) == 0 && p.waiting.total() == 0
		})
	})
	return p
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

func mustAcquire(t *testing.T, p *pool, flow, user string, seats int) (release func()) {
	t.Helper()
	release, err := p.acquire(t.Context(), flow, user, seats)
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

func inBackground(ctx context.Context, p *pool, flow, user string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		release, err := p.acquire(ctx, flow, user, 1)
		out <- outcome{release, err}
	}()
	return out
}

func TestPool_AFloodWaitsForItself(t *testing.T) {
	p := newTestPool(t, Config{Seats: 2})
	held := []func(){mustAcquire(t, p, "busy", "mallory", 1), mustAcquire(t, p, "busy", "mallory", 1)}
	next := inBackground(t.Context(), p, "busy", "mallory")
	eventually(t, "the third request waits", func() bool { return p.waiting.total() == 1 })

	mustAcquire(t, p, "quiet", "alice", 1)()
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

func TestPool_AWideRequestHoldsSeveralSeats(t *testing.T) {
	p := newTestPool(t, Config{Seats: 4})
	wide := mustAcquire(t, p, "busy", "mallory", 4)
	next := inBackground(t.Context(), p, "busy", "mallory")
	eventually(t, "the next request waits", func() bool { return p.waiting.total() == 1 })
	wide()
	(<-next).release()
}

func TestPool_UsersOfAFlowTakeTurns(t *testing.T) {
	p := newTestPool(t, Config{Seats: 1})
	held := mustAcquire(t, p, "shared", "mallory", 1)
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	for i := range 9 {
		user := "mallory"
		if i == 8 {
			user = "alice"
		}
		wg.Go(func() {
			release, err := p.acquire(t.Context(), "shared", user, 1)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, user)
			mu.Unlock()
			time.Sleep(5 * time.Millisecond) // turns are shares of time: what takes none is no share
			release()
		})
		eventually(t, fmt.Sprintf("request %d waits", i), func() bool { return p.waiting.total() == i+1 })
	}
	held()
	wg.Wait()
	if at := slices.Index(order, "alice"); at < 0 || at > len(order)/2+1 {
		t.Errorf("who came last was served as number %d of %v, want her long before the end", at, order)
	}
}

func TestPool_WhoIsRefused(t *testing.T) {
	t.Run("the client goes", func(t *testing.T) {
		p := newTestPool(t, Config{Seats: 1})
		held := mustAcquire(t, p, "busy", "mallory", 1)
		ctx, cancel := context.WithCancel(t.Context())
		next := inBackground(ctx, p, "busy", "mallory")
		eventually(t, "it waits", func() bool { return p.waiting.total() == 1 })
		cancel()
		if got := <-next; !errors.Is(got.err, errGone) {
			t.Errorf("error %v, want %v", got.err, errGone)
		}
		held()
		mustAcquire(t, p, "busy", "mallory", 1)()
	})
	t.Run("it takes too long", func(t *testing.T) {
		p := newTestPool(t, Config{Seats: 1, Wait: 20 * time.Millisecond})
		held := mustAcquire(t, p, "busy", "mallory", 1)
		if _, err := p.acquire(t.Context(), "busy", "mallory", 1); !errors.Is(err, errTimeout) {
			t.Errorf("error %v, want %v", err, errTimeout)
		}
		held()
	})
	t.Run("there is no room to wait, but others have some", func(t *testing.T) {
		p := newTestPool(t, Config{Seats: 1, Waiting: 4})
		held := []func(){mustAcquire(t, p, "busy", "mallory", 1), mustAcquire(t, p, "quiet", "alice", 1)}
		var waiting []<-chan outcome
		for i := range 2 {
			waiting = append(waiting, inBackground(t.Context(), p, "busy", "mallory"))
			eventually(t, "it waits", func() bool { return p.waiting.total() == i+1 })
		}
		if _, err := p.acquire(t.Context(), "busy", "mallory", 1); !errors.Is(err, errFull) {
			t.Errorf("error %v, want %v", err, errFull)
		}
		waiting = append(waiting, inBackground(t.Context(), p, "quiet", "alice"))
		eventually(t, "the other one waits", func() bool { return p.waiting.total() == 3 })
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

func TestPool_WithoutLimits(t *testing.T) {
	p := newTestPool(t, Config{})
	var all []func()
	for range 200 {
		all = append(all, mustAcquire(t, p, "busy", "mallory", 4))
	}
	for _, s := range all {
		s()
	}
}

func BenchmarkPool(b *testing.B) {
	p := New(Config{Seats: 4, Waiting: 2000, Wait: time.Minute}, NewMetrics()).pool
	b.ReportAllocs()
	for b.Loop() {
		release, err := p.acquire(b.Context(), "quiet", "alice", 1)
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
