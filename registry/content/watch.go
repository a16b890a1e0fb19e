package content

import (
	"context"
	"slices"
	"sync"

	apischema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Watch implements client.Content. Nothing waits in between but what the watch caches buffer: a handle that is too slow makes them start
// over.
func (c *Content) Watch(ctx context.Context, scope client.WatchScope, handle func(client.HeadEvent)) error {
	sources := slices.DeleteFunc(c.Backend.HeadSources(scope.Resource, scope.Listed), func(s follow.Source[head.Head]) bool {
		return slices.ContainsFunc(scope.Except, func(gr apischema.GroupResource) bool { return gr.String() == s.Name })
	})
	var all sync.WaitGroup
	var turn, listing sync.Mutex
	behind := len(sources)
	for _, source := range sources {
		list := source.List
		source.List = func(ctx context.Context, next string) (follow.Page[head.Head], error) {
			listing.Lock() // a list takes memory for all that the cache has
			defer listing.Unlock()
			return list(ctx, next)
		}
		all.Go(func() {
			shown := false
			_ = follow.Run(ctx, source, func(event client.EventType, h head.Head) { // returns with ctx
				if !scope.Resource.Empty() && !h.Resource.Empty() && h.Resource != scope.Resource {
					return
				}
				turn.Lock()
				defer turn.Unlock()
				handle(client.HeadEvent{Type: event, Source: source.Name, Head: h})
				if event != client.Synced || shown {
					return
				}
				shown = true
				if behind--; behind == 0 {
					handle(client.HeadEvent{Type: client.Synced})
				}
			})
		})
	}
	all.Wait()
	return ctx.Err()
}
