package catalog

import (
	"context"
	"sync"

	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// holds are the requests that go on only as long as their resource stays what it is.
type holds struct {
	mu      sync.Mutex
	open    map[logicalcluster.Name]map[*hold]struct{}
	recheck map[logicalcluster.Name]struct{}
	wake    chan struct{}
}

type hold struct {
	resource *Resource
	cancel   context.CancelFunc
}

func newHolds() holds {
	return holds{
		open:    map[logicalcluster.Name]map[*hold]struct{}{},
		recheck: map[logicalcluster.Name]struct{}{},
		wake:    make(chan struct{}, 1),
	}
}

// Hold returns a context that ends with ctx, or as soon as cluster no longer serves r as it is: its schema or bucket has
// changed, or it is gone. A watch is served under it, so that its client comes back and sees the new definition. The
// function returned must be called when the request is over.
func (c *Catalog) Hold(ctx context.Context, cluster logicalcluster.Name, r *Resource) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	h := &hold{resource: r, cancel: cancel}
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	if c.holds.open[cluster] == nil {
		c.holds.open[cluster] = map[*hold]struct{}{}
	}
	c.holds.open[cluster][h] = struct{}{}
	// The resource may have changed since the caller looked it up.
	c.holds.enqueue(cluster)
	return ctx, func() {
		cancel()
		c.holds.mu.Lock()
		defer c.holds.mu.Unlock()
		delete(c.holds.open[cluster], h)
		if len(c.holds.open[cluster]) == 0 {
			delete(c.holds.open, cluster)
		}
	}
}

// changed asks for a look at the holds of cluster, or of every cluster when it is empty. A definition of a bound schema matters
// to every cluster, since nobody remembers which of those that are not kept bind it.
func (h *holds) changed(cluster logicalcluster.Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if cluster != "" && cluster != logicalcluster.SystemBoundCRDs {
		if len(h.open[cluster]) > 0 {
			h.enqueue(cluster)
		}
		return
	}
	for held := range h.open {
		h.enqueue(held)
	}
}

// enqueue asks for a look at the holds of cluster; the lock is held.
func (h *holds) enqueue(cluster logicalcluster.Name) {
	h.recheck[cluster] = struct{}{}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// recheckHolds ends the holds whose resource is no longer served as it was, until ctx ends.
func (c *Catalog) recheckHolds(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.holds.wake:
		}
		c.holds.mu.Lock()
		clusters := c.holds.recheck
		c.holds.recheck = map[logicalcluster.Name]struct{}{}
		c.holds.mu.Unlock()
		for cluster := range clusters {
			snapshot, err := c.For(ctx, cluster)
			if err != nil {
				if ctx.Err() == nil {
					klog.FromContext(ctx).V(2).Info("Ending requests, since what their cluster serves is unknown", "cluster", cluster, "reason", err.Error())
				}
				snapshot = &Snapshot{}
			}
			c.holds.end(cluster, snapshot)
		}
	}
}

func (h *holds) end(cluster logicalcluster.Name, snapshot *Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for held := range h.open[cluster] {
		if !held.resource.Same(snapshot.index[held.resource.GroupResource()]) {
			held.cancel()
		}
	}
}
