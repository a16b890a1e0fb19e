package nice

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// present is for how long somebody counts as present after a request that does not give way: until the next one of a client that sends one
	// after the other.
	present = 100 * time.Millisecond
	// longestWait bounds how long work that gives way waits until it begins.
	longestWait = 25 * time.Millisecond
	// pause is how often it looks whether it may.
	pause = 2 * time.Millisecond
	// saved is how much processor time may be used at once that was left before, and borrowed how much may have to be made up for.
	saved, borrowed = 10 * time.Millisecond, 100 * time.Millisecond
	// beginning is what work that begins counts for, until it is known what it uses.
	beginning = time.Millisecond
)

// served is until when somebody is present, in nanoseconds since 1970.
var served atomic.Int64

// Serve does the work of a request that does not give way.
func Serve(work func()) {
	note()
	defer note()
	work()
}

func note() { served.Store(time.Now().Add(present).UnixNano()) }

// Present reports whether a request that does not give way is served, or was a moment ago.
func Present() bool { return time.Now().UnixNano() <= served.Load() }

// Wait returns when work that gives way may begin. A low priority alone does not help the others much when all processors are at work: they
// need one several times in each request. So while somebody is present, work begins only as long as the process leaves one processor free,
// on a machine with a single one the half of it. It waits for 25 ms at most, or until ctx ends.
func Wait(ctx context.Context) {
	for begun := time.Now(); ; {
		now := time.Now()
		if !Present() || now.Sub(begun) >= longestWait || theBudget.take(now) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// theBudget is the one of the process.
var theBudget = budget{used: processUsed, processors: func() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }}

// budget is the processor time that the process may use while it leaves some to others. Safe for many goroutines.
type budget struct {
	// used returns the processor time that the process has used.
	used       func() time.Duration
	processors func() int

	mu   sync.Mutex
	at   time.Time
	then time.Duration // what was used at that time
	left time.Duration
}

// take reports whether there is some left, and takes what work begins with.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := min(now.Sub(b.at), time.Second); passed > 0 {
		used := b.used()
		b.left += time.Duration(usable(b.processors())*float64(passed)) - (used - b.then)
		b.left = max(-borrowed, min(saved, b.left))
		b.at, b.then = now, used
	}
	if b.left <= 0 {
		return false
	}
	b.left -= beginning
	return true
}

// usable returns how many of the processors may be used.
func usable(processors int) float64 { return max(float64(processors-1), float64(processors)/2) }
