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
	l, err := New(c, NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "nothing is kept", func() bool {
			l.reads.mu.Lock()
			defer l.reads.mu.Unlock()
			return len(l.reads.flows) == 0 && l.reads.waiting.total() == 0
		})
	})
	return l.reads
}

func (b *budget) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 10 seconds: %s", what)
		}
	}
}

func mustAcquire(t *testing.T, p *pool, flow, user string, seats int) *seat {
	t.Helper()
	s, err := p.acquire(t.Context(), flow, user, seats)
	if err != nil {
		t.Fatalf("a seat for %s in %s: %v", user, flow, err)
	}
	return s
}

// outcome is what acquire returned to one that may have to wait.
type outcome struct {
	seat *seat
	err  error
}

func inBackground(ctx context.Context, p *pool, flow, user string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		s, err := p.acquire(ctx, flow, user, 1)
		out <- outcome{s, err}
	}()
	return out
}

func TestPool_AFloodWaitsForItself(t *testing.T) {
	p := newTestPool(t, Config{Reads: 100, ReadSeats: 2})
	held := []*seat{mustAcquire(t, p, "busy", "mallory", 1), mustAcquire(t, p, "busy", "mallory", 1)}
	next := inBackground(t.Context(), p, "busy", "mallory")
	eventually(t, "the third request waits", func() bool { return p.waiting.total() == 1 })

	mustAcquire(t, p, "quiet", "alice", 1).release()
	select {
	case <-next:
		t.Fatal("a third request of the busy flow has a seat")
	default:
	}
	held[0].release()
	held[0].release() // again, as a request does at its end that has given its seat back before
	got := <-next
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.seat.release()
	held[1].release()
}

func TestPool_AWideRequestHoldsSeveralSeats(t *testing.T) {
	p := newTestPool(t, Config{Reads: 100, ReadSeats: 4})
	wide := mustAcquire(t, p, "busy", "mallory", 4)
	next := inBackground(t.Context(), p, "busy", "mallory")
	eventually(t, "the next request waits", func() bool { return p.waiting.total() == 1 })
	wide.release()
	(<-next).seat.release()
}

func TestPool_FlowsTakeTurnsForTheServersSeats(t *testing.T) {
	p := newTestPool(t, Config{Reads: 1, ReadSeats: 10})
	held := mustAcquire(t, p, "busy", "mallory", 1)
	takeTurns(t, p, held, func(i int) (flow, user string) {
		if i < 8 {
			return "busy", "mallory"
		}
		return "quiet", "alice"
	})
}

func TestPool_UsersOfAFlowTakeTurns(t *testing.T) {
	p := newTestPool(t, Config{Reads: 100, ReadSeats: 1})
	held := mustAcquire(t, p, "shared", "mallory", 1)
	takeTurns(t, p, held, func(i int) (flow, user string) {
		if i < 8 {
			return "shared", "mallory"
		}
		return "shared", "alice"
	})
}

// takeTurns lets nine requests wait behind held and checks that the last comer is not the last to be served.
func takeTurns(t *testing.T, p *pool, held *seat, who func(i int) (flow, user string)) {
	t.Helper()
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 9 {
		flow, user := who(i)
		wg.Go(func() {
			s, err := p.acquire(t.Context(), flow, user, 1)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			time.Sleep(5 * time.Millisecond) // turns are shares of time: what takes none is no share
			s.release()
		})
		eventually(t, fmt.Sprintf("request %d waits", i), func() bool { return p.waiting.total() == i+1 })
	}
	held.release()
	wg.Wait()
	if at := slices.Index(order, 8); at < 0 || at > hand+1 {
		t.Errorf("the other one was served as number %d of %v, want it among the first", at, order)
	}
}

func TestPool_WhoIsRefused(t *testing.T) {
	t.Run("the client goes", func(t *testing.T) {
		p := newTestPool(t, Config{ReadSeats: 1})
		held := mustAcquire(t, p, "busy", "mallory", 1)
		ctx, cancel := context.WithCancel(t.Context())
		next := inBackground(ctx, p, "busy", "mallory")
		eventually(t, "it waits", func() bool { return p.waiting.total() == 1 })
		cancel()
		if got := <-next; !errors.Is(got.err, errGone) {
			t.Errorf("error %v, want %v", got.err, errGone)
		}
		held.release()
		mustAcquire(t, p, "busy", "mallory", 1).release()
	})
	t.Run("it takes too long", func(t *testing.T) {
		p := newTestPool(t, Config{ReadSeats: 1, Wait: 20 * time.Millisecond})
		held := mustAcquire(t, p, "busy", "mallory", 1)
		if _, err := p.acquire(t.Context(), "busy", "mallory", 1); !errors.Is(err, errTimeout) {
			t.Errorf("error %v, want %v", err, errTimeout)
		}
		held.release()
	})
	t.Run("there is no room to wait, but others have some", func(t *testing.T) {
		p := newTestPool(t, Config{ReadSeats: 1, Waiting: 4})
		held := []*seat{mustAcquire(t, p, "busy", "mallory", 1), mustAcquire(t, p, "quiet", "alice", 1)}
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
		for _, s := range held {
			s.release()
		}
		for _, next := range waiting {
			got := <-next
			if got.err != nil {
				t.Fatal(got.err)
			}
			got.seat.release()
		}
	})
}

func TestPool_WithoutLimits(t *testing.T) {
	p := newTestPool(t, Config{})
	var all []*seat
	for range 200 {
		all = append(all, mustAcquire(t, p, "busy", "mallory", 4))
	}
	for _, s := range all {
		s.release()
	}
}

func BenchmarkPool(b *testing.B) {
	l, err := New(Config{Reads: 1600, ReadSeats: 4, Waiting: 2000, Wait: time.Minute}, NewMetrics())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := l.reads.acquire(b.Context(), "quiet", "alice", 1)
		if err != nil {
			b.Fatal(err)
		}
		s.release()
	}
}
