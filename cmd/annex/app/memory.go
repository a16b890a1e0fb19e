package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// gcPercent is the least part of the live heap by which the heap grows between collections. Long-lived objects of the watch caches are
	// allocated among garbage. More garbage spreads them over more pages, and the runtime cannot return a page with one live object.
	gcPercent = 50
	// garbageRoom is how much garbage, in bytes, a busy process may have in any case, if it may use garbageParts times as much: with a
	// small heap it would collect several times a second, which takes a quarter of the processor time.
	garbageRoom  = 128 << 20
	garbageParts = 8
	// collectorShare is the part of the processor time that the collector should take at most: it works on as many threads as there are, and
	// short requests wait behind it. A process in which it takes more lets the heap grow further, by mostPercent at most and up to
	// the budget divided by heapParts, for as long as that lasts.
	collectorShare = 0.05
	mostPercent    = 400
	heapParts      = 8
)

const (
	metricLive = "/gc/heap/live:bytes"
	metricGC   = "/cpu/classes/gc/total:cpu-seconds"
	metricCPU  = "/cpu/classes/total:cpu-seconds"
)

// limitMemory makes the runtime collect garbage more often as the process comes close to its budget, unless the environment says
// how much it may use.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget / 10 * 9) // the embedded etcd maps its file beside the heap
	}
}

// garbagePercent returns the part of the live heap by which the heap may grow, for runtime/debug.SetGCPercent, when the collector took a share
// of the processor time with the percentage of now. budget is what the process should use at most; it and live are in bytes.
func garbagePercent(live, budget uint64, share float64, now int) int {
	live = max(live, 1<<20)
	room := min(garbageRoom, budget/garbageParts)
	least := max(gcPercent, int(room*100/live))
	wanted := min(mostPercent, int(float64(now)*share/collectorShare))
	if heap := budget / heapParts; heap < live {
		wanted = 0
	} else {
		wanted = min(wanted, int((heap-live)*100/live))
	}
	return max(least, wanted)
}

// pacer sets how far the heap may grow after each collection.
type pacer struct {
	budget  uint64 // of the process, in bytes
	percent int    // as set
	// gc and cpu are the seconds that the collector and the whole process had when it was set.
	gc, cpu float64
}

// pace sets how far the heap may grow after each collection, until ctx ends.
func pace(ctx context.Context, budget uint64) {
	p := &pacer{budget: budget}
	p.set()
	p.afterCollection(ctx)
}

func (p *pacer) set() {
	samples := []metrics.Sample{{Name: metricLive}, {Name: metricGC}, {Name: metricCPU}}
	metrics.Read(samples)
	live, gc, cpu := samples[0].Value.Uint64(), samples[1].Value.Float64(), samples[2].Value.Float64()
	share := 0.0
	if cpu > p.cpu {
		share = (gc - p.gc) / (cpu - p.cpu) * oversubscription()
	}
	p.percent, p.gc, p.cpu = garbagePercent(live, p.budget, share, p.percent), gc, cpu
	debug.SetGCPercent(p.percent)
}

// oversubscription returns how many times more processor time the runtime counts than there is: it takes each thread that may run Go code for a
// processor (see processors.go).
func oversubscription() float64 {
	return max(1, float64(runtime.GOMAXPROCS(0))/float64(runtime.NumCPU()))
}

// afterCollection sets it anew after the next collection, and so on.
func (p *pacer) afterCollection(ctx context.Context) {
	// A collection finds that nobody has this.
	runtime.AddCleanup(new([32]byte), func(ctx context.Context) {
		if ctx.Err() == nil {
			p.set()
			p.afterCollection(ctx)
		}
	}, ctx)
}
