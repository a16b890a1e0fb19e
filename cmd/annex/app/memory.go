package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent bounds how far the heap grows between collections. What lives long, the watch caches, is decoded amid
	// garbage: the more garbage, the thinner the pages on which it stays, and a page with one live object is not given back.
	gcPercent = 50
	// idleInterval is how often a quiet process looks at its heap.
	idleInterval = 20 * time.Second
	// idleGarbage is how much garbage, in bytes, is worth a collection of its own.
	idleGarbage = 4 << 20
)

const (
	metricCycles  = "/gc/cycles/total:gc-cycles"
	metricLive    = "/gc/heap/live:bytes"
	metricObjects = "/memory/classes/heap/objects:bytes"
	metricFree    = "/memory/classes/heap/free:bytes"
)

// keepSmall keeps the memory of the process near what is alive, until ctx ends. The runtime collects when the heap has grown
// by a share of itself; after a burst nothing grows, and the garbage of the burst would stay for minutes. GOGC and GOMEMLIMIT
// in the environment come first: who sets one is left alone.
func keepSmall(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
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
