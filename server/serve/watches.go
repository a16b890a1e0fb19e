package serve

import (
	"context"
	"sync"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// maxRechecks is how many goroutines look again at watches at the same time.
	maxRechecks = 8
	// recheckTimeout bounds one look: a watch whose condition cannot be read must not keep others from being looked at.
	recheckTimeout = 30 * time.Second
)

// Watches knows the open watches by the cluster in which a change can end them. It is safe for concurrent use. While no watch is
// open it holds nothing and no goroutine runs.
type Watches struct {
	mu   sync.Mutex
	open map[logicalcluster.Name]map[*watch]struct{}
	// changed are the clusters whose watches have to be looked at, and running the goroutines that do so.
	changed map[logicalcluster.Name]struct{}
	running int
}

// watch is one open watch.
type watch struct {
	ctx       context.Context //nolint:containedctx // it is what the watch lives in, and what ends with it
	end       context.CancelFunc
	condition Condition
}

// NewWatches returns a registry that knows no watch.
func NewWatches() *Watches {
	return &Watches{open: map[logicalcluster.Name]map[*watch]struct{}{}, changed: map[logicalcluster.Name]struct{}{}}
}

// Hold returns a context that ends with ctx, with done, or after a change in the condition's cluster that makes the condition
// false. It looks at the condition before it returns, because that may have changed since the caller last knew of it. The caller
// must call done when the watch is over.
func (w *Watches) Hold(ctx context.Context, condition Condition) (held context.Context, done func()) {
	h := &watch{condition: condition}
	h.ctx, h.end = context.WithCancel(ctx)
	w.mu.Lock()
	if w.open[condition.Cluster] == nil {
		w.open[condition.Cluster] = map[*watch]struct{}{}
	}
	w.open[condition.Cluster][h] = struct{}{}
	w.mu.Unlock()
	h.check()
	return h.ctx, func() {
		h.end()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open[condition.Cluster], h)
		if len(w.open[condition.Cluster]) == 0 {
			delete(w.open, condition.Cluster)
		}
	}
}

// Recheck looks again at the watches that a change in cluster can end; at all watches when cluster is empty, for who cannot say
// where something has changed. It returns at once. The look begins after the call.
func (w *Watches) Recheck(cluster logicalcluster.Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cluster.Empty() {
		for name := range w.open {
			w.changed[name] = struct{}{}
		}
	} else if len(w.open[cluster]) > 0 {
		w.changed[cluster] = struct{}{}
	}
	for range min(len(w.changed), maxRechecks-w.running) {
		w.running++
		go w.recheck()
	}
}

// recheck looks at what has changed until nothing is left.
func (w *Watches) recheck() {
	for {
		concerned, ok := w.next()
		if !ok {
			return
		}
		for _, h := range concerned {
			h.check()
		}
	}
}

// next returns the watches of a cluster that has changed; false when there is none, which ends the goroutine that asks.
func (w *Watches) next() ([]*watch, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for cluster := range w.changed {
		delete(w.changed, cluster)
		concerned := make([]*watch, 0, len(w.open[cluster]))
		for h := range w.open[cluster] {
			concerned = append(concerned, h)
		}
		return concerned, true
	}
	w.running--
	return nil, false
}

// check ends the watch if its condition is false.
func (h *watch) check() {
	ctx, cancel := context.WithTimeout(h.ctx, recheckTimeout)
	defer cancel()
	if ctx.Err() == nil && !h.condition.Holds(ctx) {
		h.end()
	}
}
