package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent is the least part of the live heap by which the heap grows between collections. Long-lived objects of the watch caches are
	// allocated among garbage. More garbage spreads them over more pages, and the runtime cannot return a page with one live object.
	gcPercent = 50
	// garbageRoom is how much garbage, in bytes, a busy process may have in any case, if it may use garbageParts times as much: with a
	// small heap it would collect several times a second, which takes a quarter of the processor time.
	garbageRoom  = 128 << 20
	garbageParts = 8
	// idleInterval is the pause between two checks of the heap.
	idleInterval = 20 * time.Second
	// idleGarbage is the amount of garbage, in bytes, that triggers a collection in an idle process.
	idleGarbage = 4 << 20
)

const (
	metricCycles  = "/gc/cycles/total:gc-cycles"
	metricLive    = "/gc/heap/live:bytes"
	metricObjects = "/memory/classes/heap/objects:bytes"
	metricFree    = "/memory/classes/heap/free:bytes"
)

// limitMemory makes the runtime collect garbage more often as the process comes close to its budget, unless the environment says
// how much it may use.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget / 10 * 9) // the embedded etcd maps its file beside the heap
	}
}

// garbagePercent returns the part of the live heap by which the heap may grow, for runtime/debug.SetGCPercent. budget is what the process
// should use at most; all in bytes.
func garbagePercent(live, budget uint64) int {
	room := min(garbageRoom, budget/garbageParts)
	return max(gcPercent, int(room*100/max(live, 1<<20)))
}

// pace sets how far the heap may grow after each collection, until ctx ends.
func pace(ctx context.Context, budget uint64) {
	live := []metrics.Sample{{Name: metricLive}}
	metrics.Read(live)
	debug.SetGCPercent(garbagePercent(live[0].Value.Uint64(), budget))
	// A collection finds that nobody has this.
	runtime.AddCleanup(new([32]byte), func(ctx context.Context) {
		if ctx.Err() == nil {
			pace(ctx, budget)
		}
	}, ctx)
}

// keepSmall keeps the memory of the process close to its live objects, until ctx ends. The runtime starts a collection only when
// the heap has grown by a percentage. After a burst the heap does not grow, so the garbage of the burst would stay for minutes.
// keepSmall does nothing if GOGC or GOMEMLIMIT is set in the environment.
func keepSmall(ctx context.Context, budget int64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	pace(ctx, uint64(max(budget, 0)))
	ticker := time.NewTicker(idleInterval)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: metricCycles}, {Name: metricLive}, {Name: metricObjects}, {Name: metricFree}}
	var before uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		cycles, live, objects, free := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()
		// A busy process collects by itself.
		quiet := cycles == before
		before = cycles
		if quiet && objects+free > live+idleGarbage {
			debug.FreeOSMemory()
			metrics.Read(samples[:1])
			before = samples[0].Value.Uint64()
		}
	}
}
