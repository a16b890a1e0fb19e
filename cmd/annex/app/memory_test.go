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
		want         int
	}{
		"a new process":        {0, 16 << 30, 12800},
		"a small heap":         {64 * mib, 16 << 30, 200},
		"a large heap":         {1 << 30, 16 << 30, 50},
		"where memory is rare": {64 * mib, 256 * mib, 50},
	} {
		if got := garbagePercent(test.live, test.budget); got != test.want {
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
		time.Sleep(time.Millisecond)
	}
	runtime.KeepAlive(alive)
}
