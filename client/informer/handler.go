package informer

import (
	"context"
	"maps"
	"slices"

	"github.com/annex-dev/annex/client"
)

// Change is what happened to an object: it was created if Old is nil, deleted if New is nil, and otherwise changed.
type Change struct {
	Old, New client.Object
}

// Handler hears of changes. The watch of a server waits for its functions, which are called one at a time for each server. They may read from
// informers.
type Handler struct {
	// Listed is called with the keys of what a server has, in their order, once all of it is there.
	Listed func(ctx context.Context, keys []client.Key)
	// Changed is called for each change after that.
	Changed func(ctx context.Context, change Change)
}

// Add lets h hear of what is there, and of every change from now on, until ctx ends.
func (i *Informer) Add(ctx context.Context, h *Handler) {
	i.turn.Lock()
	defer i.turn.Unlock()
	i.mu.Lock()
	i.handlers[h] = struct{}{}
	var present []client.Key
	for _, s := range i.sources {
		if s.synced {
			present = slices.AppendSeq(present, maps.Keys(s.keys))
		}
	}
	i.mu.Unlock()
	context.AfterFunc(ctx, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.handlers, h)
	})
	if len(present) > 0 {
		slices.SortFunc(present, client.Key.Compare)
		h.Listed(ctx, present)
	}
}

// show lets all handlers hear of what a server has. turn is held.
func (i *Informer) show(ctx context.Context, s *source) {
	keys := slices.SortedFunc(maps.Keys(s.keys), client.Key.Compare)
	for _, h := range i.hearing() {
		h.Listed(ctx, keys)
	}
}

// tell lets all handlers hear of a change, unless they have not heard yet of what the server has. turn is held.
func (i *Informer) tell(ctx context.Context, s *source, change Change) {
	if !s.synced {
		return
	}
	for _, h := range i.hearing() {
		h.Changed(ctx, change)
	}
}

func (i *Informer) hearing() []*Handler {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Collect(maps.Keys(i.handlers))
}
