package fairness

import "sync"

// budget shares at most max places among flows: a flow gets another place while it has fewer places than are free. So there is always
// room for the first few requests of a flow. One greedy flow gets half of all places, and two greedy flows get a third each. A flow
// without rivals has no other limit. (Dynamic thresholds: Choudhury and Hahne, "Dynamic queue length thresholds
// for shared-memory packet switches", 1998.) Safe for many goroutines.
type budget struct {
	max int

	mu    sync.Mutex
	used  int
	flows map[string]int // only flows that have places
}

func newBudget(limit int) *budget { return &budget{max: limit, flows: map[string]int{}} }

// take takes a place for flow; false if flow may not have another one now. Call give to return the place. A budget of 0 has no limit.
func (b *budget) take(flow string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.max > 0 && b.flows[flow] >= b.max-b.used {
		return false
	}
	b.used++
	b.flows[flow]++
	return true
}

// give returns a place of flow.
func (b *budget) give(flow string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used--
	if b.flows[flow]--; b.flows[flow] == 0 {
		delete(b.flows, flow)
	}
}
