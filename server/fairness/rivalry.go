package fairness

import (
	"sync"
	"time"
)

const (
	// aloneFactor is how many times its seats a flow has while nobody else is there.
	aloneFactor = 16
	// memory is how long a flow counts as there after its last request. It spans the pauses of somebody who works.
	memory = 2 * time.Second
)

// rivalry knows whether more than one flow is there. It remembers no flow but the last one. Safe for many goroutines.
type rivalry struct {
	mu   sync.Mutex
	last string
	// seen is when last had a request; until is how long another flow is there beside it.
	seen, until time.Time
}

// note notes a request of flow and reports whether another flow is there, too. Who reads the metrics is nobody's rival.
func (r *rivalry) note(flow string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flow != processFlow {
		if flow != r.last && now.Sub(r.seen) < memory {
			r.until = now.Add(memory)
		}
		r.last, r.seen = flow, now
	}
	return now.Before(r.until)
}
