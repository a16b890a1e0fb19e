package crowd

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Parallel calls do for each item in [0, n), with the given number of clients
// at a time, and returns how long all of it took. A client does one item after
// the other; the second argument of do is its number, in [0, clients). The
// first error cancels the context of all and is returned.
func Parallel(ctx context.Context, clients, n int, do func(ctx context.Context, client, item int) error) (time.Duration, error) {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	start := time.Now()
	for client := range min(clients, n) {
		group.Go(func() error {
			for {
				item := int(next.Add(1)) - 1
				if item >= n {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(ctx, client, item); err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	return time.Since(start), err
}

// Sleep rests for the duration, or until the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
