package hostbinding

import (
	"context"
	"sync"
)

// watches knows the open watches by projection. The zero value knows none.
type watches struct {
	mu   sync.Mutex
	open map[*projection]map[*held]struct{}
}

type held struct{ cancel context.CancelFunc }

// hold returns a context that ends with ctx, with done, or when p is no longer current.
func (w *watches) hold(ctx context.Context, p *projection, current func() bool) (watch context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	h := &held{cancel: cancel}
	w.mu.Lock()
	if w.open == nil {
		w.open = map[*projection]map[*held]struct{}{}
	}
	if w.open[p] == nil {
		w.open[p] = map[*held]struct{}{}
	}
	w.open[p][h] = struct{}{}
	w.mu.Unlock()
	if !current() { // it may have changed since it was looked up
		cancel()
	}
	return ctx, func() {
		cancel()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open[p], h)
		if len(w.open[p]) == 0 {
			delete(w.open, p)
		}
	}
}

// end ends the watches on p.
func (w *watches) end(p *projection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.open[p] {
		h.cancel()
	}
}
