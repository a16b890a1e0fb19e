package fairness

import "sync"

// budget shares out places of which there are at most max: a flow gets another one while it has fewer than are free. So the
// first few of a flow always find room, one greedy flow gets half of all places, two of them a third each, and a flow that
// is nobody's rival is held back by nothing else. (Dynamic thresholds: Choudhury and Hahne, "Dynamic queue length thresholds
// for shared-memory packet switches", 1998.) Safe for many goroutines.
type budget struct {
	max int

	mu    sync.Mutex
	used  int
	flows map[string]int // without flows that have none
}

func newBudget(limit int) *budget { return &budget{max: limit, flows: map[string]int{}} }

// take takes a place for flow, to be given back; false when it may have none now. A budget of 0 has no bound.
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

// give gives a place of flow back.
func (b *budget) give(flow string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used--
	if b.flows[flow]--; b.flows[flow] == 0 {
		delete(b.flows, flow)
	}
}
