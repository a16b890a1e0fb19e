package catalog

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// hold is one request that goes on only as long as its resource stays what it is.
type hold struct {
	resource *Resource
	cancel   context.CancelFunc
}

// Run watches until ctx ends. Call it once, before requests are served.
func (c *Catalog) Run(ctx context.Context) error {
	var group sync.WaitGroup
	errs := make([]error, 2)
	for i, gr := range []schema.GroupResource{definitionsResource, bindingsResource} {
		group.Go(func() {
			errs[i] = c.reader.Watch(ctx, gr, func(event client.Event) { c.observe(gr, event) })
		})
	}
	group.Go(func() { c.recheckHolds(ctx) })
	group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

// Hold returns a context that ends with ctx, or as soon as cluster no longer serves r as it is: its schema or bucket has
// changed, or it is gone. A watch is served under it, so that its client comes back and sees the new definition. The
// function returned must be called when the request is over.
func (c *Catalog) Hold(ctx context.Context, cluster logicalcluster.Name, r *Resource) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	h := &hold{resource: r, cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds[cluster] == nil {
		c.holds[cluster] = map[*hold]struct{}{}
	}
	c.holds[cluster][h] = struct{}{}
	// The resource may have changed since the caller looked it up.
	if kept, ok := c.kept.Get(cluster); !ok || !r.Same(kept.(*Snapshot).index[r.GroupResource()]) {
		c.enqueueRecheck(cluster)
	}
	return ctx, func() {
		cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.holds[cluster], h)
		if len(c.holds[cluster]) == 0 {
			delete(c.holds, cluster)
		}
	}
}

// observe takes in one event of a watch.
func (c *Catalog) observe(gr schema.GroupResource, event client.Event) {
	switch event.Type {
	case client.Reset:
		c.mu.Lock()
		c.synced[gr] = false
		c.dropAll()
		c.mu.Unlock()
		return
	case client.Synced:
		c.mu.Lock()
		c.synced[gr] = true
		c.dropAll()
		for cluster := range c.holds {
			c.enqueueRecheck(cluster)
		}
		c.mu.Unlock()
		return
	}
	cluster := logicalcluster.From(event.Object)
	c.mu.Lock()
	if gr == definitionsResource && cluster == logicalcluster.SystemBoundCRDs {
		c.dropUsers(event.Object.GetName())
	} else {
		c.drop(cluster)
	}
	c.mu.Unlock()
}

// drop forgets the snapshot of cluster; the lock is held.
func (c *Catalog) drop(cluster logicalcluster.Name) {
	c.kept.Remove(cluster)
	if f := c.flights[cluster]; f != nil {
		f.stale = true
	}
	if r := c.refreshes[cluster]; r != nil {
		r.running.stale = true
	}
	if len(c.holds[cluster]) > 0 {
		c.enqueueRecheck(cluster)
	}
}

// dropUsers forgets the snapshots of all clusters that bind the schema uid; the lock is held.
func (c *Catalog) dropUsers(uid string) {
	for cluster := range c.users[uid] {
		c.kept.Remove(cluster)
	}
	c.overtakeAll()
	for cluster, holds := range c.holds {
		for h := range holds {
			if h.resource.SchemaUID == uid {
				c.enqueueRecheck(cluster)
				break
			}
		}
	}
}

// dropAll forgets every snapshot; the lock is held.
func (c *Catalog) dropAll() {
	c.kept.Clear()
	clear(c.users)
	c.overtakeAll()
}

// overtakeAll marks all computations under way as too old to keep; the lock is held.
func (c *Catalog) overtakeAll() {
	for _, f := range c.flights {
		f.stale = true
	}
	for _, r := range c.refreshes {
		r.running.stale = true
	}
}

// enqueueRecheck asks for a look at the holds of cluster; the lock is held.
func (c *Catalog) enqueueRecheck(cluster logicalcluster.Name) {
	c.recheck[cluster] = struct{}{}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// recheckHolds ends the holds whose resource is no longer served as it was, until ctx ends.
func (c *Catalog) recheckHolds(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.mu.Lock()
		clusters := c.recheck
		c.recheck = map[logicalcluster.Name]struct{}{}
		c.mu.Unlock()
		for cluster := range clusters {
			snapshot, err := c.For(ctx, cluster)
			if err != nil {
				if ctx.Err() == nil {
					klog.FromContext(ctx).V(2).Info("Ending requests, since what their cluster serves is unknown", "cluster", cluster, "reason", err.Error())
				}
				snapshot = &Snapshot{}
			}
			c.endHolds(cluster, snapshot)
		}
	}
}

func (c *Catalog) endHolds(cluster logicalcluster.Name, snapshot *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := range c.holds[cluster] {
		if !h.resource.Same(snapshot.index[h.resource.GroupResource()]) {
			h.cancel()
		}
	}
}
