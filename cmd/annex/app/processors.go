package app

import (
	"os"
	"runtime"
)

// mostMore is how many more goroutines than processors run at a time at most.
const mostMore = 4

// shareProcessors lets more goroutines run at a time than there are processors. The runtime lets a goroutine that computes run for ten
// milliseconds before it looks for others; the kernel shares processors between threads in shorter slices, and prefers a thread that has
// just woken up. So a short request does not wait long behind the work on a large schema or behind the garbage collector.
//
// It does nothing if GOMAXPROCS is set, or if the process may use less than all processors: a quota of processor time would be used up the
// sooner, and the process stopped until the next period.
func shareProcessors() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	if n := more(runtime.GOMAXPROCS(0), runtime.NumCPU()); n > 0 {
		runtime.GOMAXPROCS(n)
	}
}

// more returns how many goroutines should run at a time, if usable of all processors may be used. 0 leaves that to the runtime, which follows
// quotas as they change.
func more(usable, all int) int {
	if usable != all {
		return 0
	}
	return all + min(all, mostMore)
}
