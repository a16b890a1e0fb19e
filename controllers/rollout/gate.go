package rollout

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/annex-dev/annex/client"
)

// Gate says which APIBindings may take the new schemas of a rollout. A nil Gate is closed for all. It is safe for concurrent use.
type Gate struct {
	mu    sync.Mutex
	open  map[client.Key]map[client.Key]int64 // rollout, binding, revision
	queue func(client.Key, time.Duration)
}

// NewGate returns a Gate that is closed for all.
func NewGate() *Gate { return &Gate{open: map[client.Key]map[client.Key]int64{}} }

// Passes reports whether binding may take the schemas of a revision of rollout.
func (g *Gate) Passes(rollout client.Key, revision int64, binding client.Key) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	found, open := g.open[rollout][binding]
	return open && found == revision
}

// Feed queues bindings that may change, until ctx ends.
func (g *Gate) Feed(ctx context.Context, add func(client.Key, time.Duration)) {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.queue = add
	g.mu.Unlock()
	<-ctx.Done()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = nil
}

// look has a binding reconciled. If nobody reconciles bindings now, all of them are when somebody begins.
func (g *Gate) look(binding client.Key) {
	g.mu.Lock()
	queue := g.queue
	g.mu.Unlock()
	if queue != nil {
		queue(binding, 0)
	}
}

// let opens the gate for binding.
func (g *Gate) let(rollout client.Key, revision int64, binding client.Key) {
	g.mu.Lock()
	if g.open[rollout] == nil {
		g.open[rollout] = map[client.Key]int64{}
	}
	g.open[rollout][binding] = revision
	g.mu.Unlock()
	g.look(binding)
}

// keep closes the gate for all bindings of rollout but those that stays says, and has those of the others reconciled that look says. It returns
// how many it stays open for.
func (g *Gate) keep(rollout client.Key, revision int64, stays, look func(binding client.Key) bool) int {
	var closed []client.Key
	g.mu.Lock()
	maps.DeleteFunc(g.open[rollout], func(binding client.Key, its int64) bool {
		if its == revision && stays(binding) {
			return false
		}
		closed = append(closed, binding)
		return true
	})
	left := len(g.open[rollout])
	if left == 0 {
		delete(g.open, rollout)
	}
	g.mu.Unlock()
	for _, binding := range closed {
		if look(binding) {
			g.look(binding)
		}
	}
	return left
}

// close closes the gate for all bindings of rollout.
func (g *Gate) close(rollout client.Key) {
	g.keep(rollout, 0, func(client.Key) bool { return false }, func(client.Key) bool { return true })
}
