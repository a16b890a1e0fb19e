package fresh

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/registry/lasting"
)

// timeout ends a look that hangs; it is not bound to the request that began it, since others wait too.
const timeout = 5 * time.Second

// Gate holds callers back until what they read is as new as they are. It is safe for concurrent use.
type Gate struct {
	look func(ctx context.Context) (uint64, error)

	mu sync.Mutex
	// running is the look in flight, next the one that begins when it ends: who comes while one runs must wait for the next,
	// which asks later.
	running, next *flight
}

type flight struct {
	done     chan struct{} // closed when the rest is set
	revision uint64
	err      error
}

// New returns a gate. look reads etcd's current revision and returns it as soon as the caches behind the gate have reached it.
func New(look func(ctx context.Context) (uint64, error)) *Gate { return &Gate{look: look} }

// Wait returns once the caches hold every write that was acknowledged before the call, and a revision of etcd, no older than
// the call, that they have reached. The error is that of the look, or Timeout when ctx ends before.
func (g *Gate) Wait(ctx context.Context) (uint64, error) {
	ctx, end := lasting.Ending(ctx)
	defer end()
	f := g.join(ctx)
	select {
	case <-f.done:
		return f.revision, f.err
	case <-ctx.Done():
		return 0, apierrors.NewTimeoutError("waiting until the watch caches are up to date: "+context.Cause(ctx).Error(), 1)
	}
}

func (g *Gate) join(ctx context.Context) *flight {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == nil {
		g.running = &flight{done: make(chan struct{})}
		go g.run(context.WithoutCancel(ctx), g.running)
		return g.running
	}
	if g.next == nil {
		g.next = &flight{done: make(chan struct{})}
	}
	return g.next
}

// run looks for f, and for those who came in the meantime.
func (g *Gate) run(ctx context.Context, f *flight) {
	for f != nil {
		look, cancel := context.WithTimeout(ctx, timeout)
		f.revision, f.err = g.look(look)
		cancel()
		g.mu.Lock()
		ended := f
		g.running, g.next = g.next, nil
		f = g.running
		g.mu.Unlock()
		close(ended.done)
	}
}
