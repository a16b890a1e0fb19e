package tree

import (
	"context"
	"sync"
)

// Each calls do for top and every node below it, several at the same time, except for mounted workspaces and those without an address.
// It returns what could not be read, and what do returned.
func Each(ctx context.Context, top *Node, do func(ctx context.Context, n *Node) error) []error {
	var (
		faults Faults
		all    sync.WaitGroup
	)
	seats := make(chan struct{}, parallel)
	each(ctx, top, "", "", &faults, func(_ string, n *Node) {
		if n.Path.Empty() || n.Mounted() {
			return
		}
		all.Go(func() {
			seats <- struct{}{}
			defer func() { <-seats }()
			faults.Add(do(ctx, n))
		})
	})
	all.Wait()
	return faults.Errors()
}
