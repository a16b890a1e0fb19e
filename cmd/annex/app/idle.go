package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/annex-dev/annex/registry/nice"
)

const (
	// checkInterval is the pause between two checks of the heap.
	checkInterval = time.Second
	// quietInterval is for how long a process that was busy has had no collection when it returns memory.
	quietInterval = 5 * time.Second
	// busyBytes is what a process has allocated at least, in bytes, that was busy before. It has allocated as much as is in use, too: so memory is
	// returned as often as the stock runtime collects garbage, at most.
	busyBytes = 64 << 20
	// idleInterval is the same for a process that was not busy, or that has returned memory since.
	idleInterval = 20 * time.Second
	// longestDelay is for how long a process has had no collection that returns memory although there are requests.
	longestDelay = 2 * idleInterval
	// afterwards is how many times an idle process that was busy returns memory again. By then caches have forgotten what was in use during the
	// burst (registry/storage).
	afterwards = 2
	// idleGarbage is the amount of garbage, in bytes, for which an idle process returns memory in any case.
	idleGarbage = 4 << 20
)

// heap is what the runtime knows of the heap: the number of collections, and bytes that the last one found in use, that the process has, and that it has allocated
// since it began.
type heap struct{ cycles, live, held, allocated uint64 }

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: metricLive}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{cycles: value(0), live: value(1), allocated: value(2), held: value(3) + value(4)}
}

// keepSmall keeps the memory of the process close to its live objects, until ctx ends. The runtime starts a collection only when
// the heap has grown by a percentage. After a burst the heap does not grow, so the garbage of the burst would stay for minutes.
// keepSmall does nothing if GOGC or GOMEMLIMIT is set in the environment.
func keepSmall(ctx context.Context, budget int64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	pace(ctx, uint64(max(budget, 0)))
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	var r returns
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if r.due(readHeap(), nice.Present()) {
			runtime.GC() // what is found by weak pointers, and in pools, is free after the second one
			debug.FreeOSMemory()
			r.done(readHeap())
		}
	}
}

// returns decides when memory that is not in use is returned.
type returns struct {
	last   heap   // when memory was returned
	cycles uint64 // at the last check
	quiet  time.Duration
	busy   bool // since memory was returned
	again  int
}

// due reports whether memory is to be returned. It is called every checkInterval. Somebody present has requests that a collection would slow
// down, so it waits for a gap between them, but not for long.
func (r *returns) due(now heap, present bool) bool {
	// A busy process collects by itself.
	if r.quiet += checkInterval; now.cycles != r.cycles {
		r.cycles, r.quiet = now.cycles, 0
	}
	r.busy = now.allocated-r.last.allocated >= max(busyBytes, now.live)
	switch {
	case present && r.quiet < longestDelay:
		return false
	case r.quiet < idleInterval:
		return r.busy && r.quiet >= quietInterval
	}
	return r.busy || r.again > 0 || now.held > now.live+idleGarbage
}

// done says that memory was returned.
func (r *returns) done(now heap) {
	if r.again = max(0, r.again-1); r.busy {
		r.again = afterwards
	}
	r.last, r.cycles, r.quiet = now, now.cycles, 0
}
