package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// errEnded stands for an error that a watch should have returned.
var errEnded = errors.New("the watch ended")

// All watches several resources in all clusters until ctx ends. It returns nil then, or the reason why one of them cannot be
// watched: the other watches end with that one. handle is called by one goroutine for each resource. When a watch has ended,
// handle gets a last Reset for its resource, because nothing keeps what was delivered up to date any more.
func All(ctx context.Context, from client.Reader, resources []schema.GroupResource, handle func(schema.GroupResource, client.Event)) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, resource := range resources {
		group.Go(func() error {
			defer handle(resource, client.Event{Type: client.Reset})
			err := from.Watch(ctx, resource, func(event client.Event) { handle(resource, event) })
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watching %s: %w", resource, cmp.Or(err, errEnded))
		})
	}
	return group.Wait()
}
