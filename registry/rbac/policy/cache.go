package policy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// maxIndexes is how many clusters are kept compiled. An index of a workspace that only its creator may enter takes well
// under 2 KiB.
const maxIndexes = 2000

// compileTimeout bounds how long requests may wait for an index.
const compileTimeout = 10 * time.Second

// Watches that do not deliver must not keep alive what was revoked. So the caches are compared with etcd's revision from time
// to time, but only while somebody asks: after confirmAfter beside requests, after distrustAfter before the next answer.
const (
	confirmAfter  = 5 * time.Second
	distrustAfter = 30 * time.Second
)

// Fresh waits until the watch caches of all that is followed hold every write acknowledged before the call, and returns a
// revision that they have reached then; a fresh.Gate does.
type Fresh interface {
	Wait(ctx context.Context) (revision uint64, err error)
}

// cache keeps the indexes of the clusters in use.
type cache struct {
	from  client.Reader
	fresh Fresh // nil when from is never behind
	clock clock.PassiveClock

	mu         sync.Mutex
	confirmed  time.Time // when the caches were last known to be as new as etcd
	confirming bool
	indexes    *lru.Cache                       // logicalcluster.Name to *index
	building   map[logicalcluster.Name]*pending // removed by a change, which keeps the outcome out of indexes
	inStep     map[schema.GroupResource]bool    // which watches are between Synced and Reset
}

// pending is an index that is being built.
type pending struct {
	at    uint64        // the index holds what was written up to this revision, and perhaps more
	done  chan struct{} // closed when the rest is set
	index *index
	err   error
}

func newCache(from client.Reader, fresh Fresh) *cache {
	return &cache{
		from:     from,
		fresh:    fresh,
		clock:    clock.RealClock{},
		indexes:  lru.New(maxIndexes),
		building: map[logicalcluster.Name]*pending{},
		inStep:   map[schema.GroupResource]bool{},
	}
}

// get returns the index of cluster, building it when there is none. Requests for one cluster share a build, except that one
// that comes after a change never joins a build from before it.
func (c *cache) get(ctx context.Context, cluster logicalcluster.Name) (*index, error) {
	if err := c.confirm(ctx); err != nil {
		return nil, err
	}
	return c.atLeast(ctx, cluster, 0)
}

// now is get, except that the index misses nothing that was acknowledged before the call.
func (c *cache) now(ctx context.Context, cluster logicalcluster.Name) (*index, error) {
	if c.fresh == nil {
		c.forget(cluster)
	}
	revision, err := c.wait(ctx)
	if err != nil {
		return nil, err
	}
	return c.atLeast(ctx, cluster, revision)
}

// atLeast returns the index of cluster as of revision, which the caches have reached, or later.
func (c *cache) atLeast(ctx context.Context, cluster logicalcluster.Name, revision uint64) (*index, error) {
	c.mu.Lock()
	if ix, ok := c.indexes.Get(cluster); ok && ix.(*index).at >= revision {
		c.mu.Unlock()
		return ix.(*index), nil
	}
	p := c.building[cluster]
	if p == nil || p.at < revision {
		p = &pending{at: revision, done: make(chan struct{})}
		c.building[cluster] = p
		// Others may be waiting for it by the time this request is canceled.
		go c.build(context.WithoutCancel(ctx), cluster, p)
	}
	c.mu.Unlock()

	select {
	case <-p.done:
		return p.index, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the policy of cluster %q: %w", cluster, context.Cause(ctx))
	}
}

// wait returns once the caches hold all that was acknowledged before the call, and the revision that they have reached.
func (c *cache) wait(ctx context.Context) (uint64, error) {
	if c.fresh == nil {
		return 0, nil
	}
	began := c.clock.Now()
	revision, err := c.fresh.Wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("making sure that the policy is known: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if began.After(c.confirmed) {
		c.confirmed = began
	}
	return revision, nil
}

// confirm returns nil when the caches were as new as etcd a short time ago, or are now.
func (c *cache) confirm(ctx context.Context) error {
	if c.fresh == nil {
		return nil
	}
	c.mu.Lock()
	age := c.clock.Since(c.confirmed)
	background := age >= confirmAfter && age < distrustAfter && !c.confirming
	c.confirming = c.confirming || background
	c.mu.Unlock()
	if background {
		go func() {
			// What it fails with shows when it is needed.
			_, _ = c.wait(context.WithoutCancel(ctx))
			c.mu.Lock()
			defer c.mu.Unlock()
			c.confirming = false
		}()
	}
	if age < distrustAfter {
		return nil
	}
	_, err := c.wait(ctx)
	return err
}

// build fills p in, and keeps the index unless something changed in the meantime or might have gone unnoticed.
func (c *cache) build(ctx context.Context, cluster logicalcluster.Name, p *pending) {
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	p.index, p.err = compile(ctx, c.from, cluster)
	if p.err == nil {
		p.index.at = p.at
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(p.done)
	if c.building[cluster] != p {
		return
	}
	delete(c.building, cluster)
	if p.err == nil && c.complete() {
		c.indexes.Add(cluster, p.index)
	}
}

// complete reports whether every change is being seen. The caller holds the lock.
func (c *cache) complete() bool {
	for _, resource := range Followed() {
		if !c.inStep[resource] {
			return false
		}
	}
	return true
}

// handle takes notice of an event on resource.
func (c *cache) handle(resource schema.GroupResource, event client.Event) {
	if event.Object != nil {
		c.forget(logicalcluster.From(event.Object))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inStep[resource] = event.Type == client.Synced
	c.indexes.Clear()
	clear(c.building)
}

// forget drops what is known of one cluster.
func (c *cache) forget(cluster logicalcluster.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.indexes.Remove(cluster)
	delete(c.building, cluster)
}

// lost takes notice that changes of resource are no longer seen.
func (c *cache) lost(resource schema.GroupResource) {
	c.handle(resource, client.Event{Type: client.Reset})
}
