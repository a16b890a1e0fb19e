package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestGarbagePercent(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		live, budget uint64
		share        float64
		now, want    int
	}{
		"a new process":                 {0, 16 << 30, 0, 0, 12800},
		"a small heap":                  {64 * mib, 16 << 30, 0, 0, 200},
		"a large heap":                  {1 << 30, 16 << 30, 0, 50, 50},
		"where memory is rare":          {64 * mib, 256 * mib, 0, 0, 50},
		"the collector works much":      {1 << 30, 64 << 30, 0.15, 50, 150},
		"it works as much as it should": {1 << 30, 64 << 30, 0.05, 150, 150},
		"it works little":               {1 << 30, 64 << 30, 0.01, 150, 50},
		"it does nothing else":          {1 << 30, 64 << 30, 0.9, 200, 400},
		"it works much, and its part of the budget is used": {1 << 30, 8 << 30, 0.5, 50, 50},
		"it works much, and more than that is used":         {1 << 30, 1 << 30, 0.5, 50, 50},
		"it works much, and there is some room":             {1 << 30, 20 << 30, 0.5, 50, 150},
	} {
		if got := garbagePercent(test.live, test.budget, test.share, test.now); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestPace_FollowsWhatIsAlive(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pace(ctx, 16<<30)
	percent := func() int { // SetGCPercent is the only way to ask
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	if got := percent(); got <= 100 {
		t.Fatalf("a small process has %d %%", got)
	}
	alive := make([]byte, 512<<20)
	deadline := time.Now().Add(time.Minute)
	for percent() != gcPercent {
		if time.Now().After(deadline) {
			t.Fatalf("with 512 MiB alive it is still %d %%", percent())
		}
		runtime.GC()
		time.Sleep(100 * time.Millisecond) // the collector must not work all the time
	}
	runtime.KeepAlive(alive)
}
