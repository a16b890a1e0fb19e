package nice

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// long is how much of a processor a piece of work uses from which on a rest follows.
	long = 10 * time.Millisecond
	// longestRest bounds a rest: the work may hold what others wait for.
	longestRest = time.Second
	// share is the part of the processors that is left to long work on one thread while several tenants are active.
	share = 4
)

// shared is until when requests of several tenants are active, in nanoseconds since 1970.
var shared atomic.Int64

// Share says that requests of several tenants are active until then.
func Share(until time.Time) { shared.Store(until.UnixNano()) }

// rest follows on work that has used a processor for so long. A low priority alone does not help the others: they wait for the collector, which
// clears up after the work and has the usual one. So where there are few processors, long work leaves some of its time to them.
func rest(used time.Duration) {
	if used < long || time.Now().UnixNano() > shared.Load() {
		return
	}
	time.Sleep(restAfter(used, min(runtime.NumCPU(), runtime.GOMAXPROCS(0))))
}

// restAfter returns how long work rests that has used one of so many processors for so long.
func restAfter(used time.Duration, processors int) time.Duration {
	return min(longestRest, used*time.Duration(max(0, share-processors))/time.Duration(processors))
}
