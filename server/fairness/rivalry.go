package fairness

import (
	"sync"
	"time"

	"github.com/annex-dev/annex/registry/nice"
)

const (
	// aloneFactor multiplies the seats of a flow while no other flow is active.
	aloneFactor = 16
	// memory is how long a flow counts as active after its last request. It covers the pauses of an active user.
	memory = 2 * time.Second
)

// rivalry detects whether more than one flow is active. It remembers only the last flow. Safe for many goroutines.
type rivalry struct {
	mu   sync.Mutex
	last string
	// seen is the time of last's most recent request. until is the time until which another flow counts as active.
	seen, until time.Time
}

// note records a request of flow and reports whether another flow is active. A client that reads the metrics does not count.
func (r *rivalry) note(flow string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flow != processShare {
		if flow != r.last && now.Sub(r.seen) < memory {
			r.until = now.Add(memory)
			nice.Share(r.until)
		}
		r.last, r.seen = flow, now
	}
	return now.Before(r.until)
}

// rivals reports whether more than one flow is active.
func (r *rivalry) rivals(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.until)
}
