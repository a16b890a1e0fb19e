package nice

import (
	"context"
	"testing"
	"time"
)

func TestBudget_LeavesOneProcessorFree(t *testing.T) {
	const step = 10 * time.Millisecond
	for _, test := range []struct {
		processors, used float64
		want             bool
	}{
		{1, 0.3, true}, {1, 0.6, false},
		{2, 0.8, true}, {2, 1.1, false},
		{8, 6.8, true}, {8, 7.1, false},
	} {
		now, used := time.Unix(1, 0), time.Duration(0)
		b := &budget{processors: func() int { return int(test.processors) }, used: func() time.Duration { return used }}
		var last bool
		for range 100 {
			now, used = now.Add(step), used+time.Duration(test.used*float64(step))
			last = b.take(now)
		}
		if last != test.want {
			t.Errorf("a process that uses %.1f of %.0f processors may use more: %t, want %t", test.used, test.processors, last, test.want)
		}
	}
}

func TestBudget_IsSmall(t *testing.T) {
	used := time.Duration(0)
	b := &budget{processors: func() int { return 2 }, used: func() time.Duration { return used }}
	now := time.Unix(1, 0)
	begun := 0
	for b.take(now) {
		begun++
	}
	if want := int(saved / beginning); begun != want {
		t.Errorf("after a long rest, %d pieces of work begin at once, want %d", begun, want)
	}
	used += time.Hour
	now = now.Add(time.Millisecond)
	b.take(now)
	if now = now.Add(2 * borrowed); !b.take(now) {
		t.Error("what was used long ago counts still")
	}
}

// overspent makes the process one that has used more than it may.
func overspent(t *testing.T) {
	t.Helper()
	before, was := theBudget.used, served.Load()
	base := time.Now().Add(-time.Hour)
	theBudget.used = func() time.Duration { return 1000 * time.Since(base) }
	t.Cleanup(func() {
		theBudget.mu.Lock()
		defer theBudget.mu.Unlock()
		theBudget.used, theBudget.at, theBudget.then, theBudget.left = before, time.Time{}, 0, 0
		served.Store(was)
	})
}

func TestWait(t *testing.T) {
	overspent(t)
	took := func(ctx context.Context) time.Duration {
		begun := time.Now()
		Wait(ctx)
		return time.Since(begun)
	}
	served.Store(0)
	theBudget.take(time.Now())
	if got := took(t.Context()); got >= longestWait {
		t.Errorf("while nobody is present, work waits for %s", got)
	}
	Serve(func() {
		// After a stop of the machine, nobody may be present any more.
		if got := took(t.Context()); got < longestWait && Present() {
			t.Errorf("while a request is served, work waits for %s, want %s", got, longestWait)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	Serve(func() {
		if got := took(ctx); got >= longestWait {
			t.Errorf("work whose client has gone waits for %s", got)
		}
	})
}

func TestServe_SomebodyIsPresentAfterwards(t *testing.T) {
	served.Store(0)
	Serve(func() { served.Store(0) })
	if served.Load() == 0 {
		t.Error("nobody is present after a request")
	}
}
