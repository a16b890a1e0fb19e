package content

import (
	"context"
	"sync"

	apischema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Event is one step of a watch of heads.
type Event struct {
	Type client.EventType
	// Source names the watch cache that the event is from. Each begins with Reset and goes on as client.EventType says: a
	// Reset concerns only what came from the same source.
	Source string
	// Head is zero for Reset and Synced. For Deleted it is the last state.
	Head head.Head
}

// Watch calls handle, one call at a time, for everything that happens to the heads of a resource, or of all resources when it
// is empty, in all clusters until ctx ends. It starts over by itself and returns only with ctx. Nothing waits in between but
// what the watch caches buffer: a handle that is too slow makes them start over.
func (c *Content) Watch(ctx context.Context, resource apischema.GroupResource, handle func(Event)) error {
	var all sync.WaitGroup
	var turn sync.Mutex
	for _, source := range c.Backend.HeadSources(resource) {
		all.Go(func() {
			_ = follow.Run(ctx, source, func(event client.EventType, h head.Head) { // returns with ctx
				if !resource.Empty() && !h.Resource.Empty() && h.Resource != resource {
					return
				}
				turn.Lock()
				defer turn.Unlock()
				handle(Event{Type: event, Source: source.Name, Head: h})
			})
		})
	}
	all.Wait()
	return ctx.Err()
}
