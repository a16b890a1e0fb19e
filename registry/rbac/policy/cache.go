package policy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/reader"
)

// maxIndexes is how many clusters are kept compiled. An index of a workspace that only its creator may enter takes well
// under 2 KiB.
const maxIndexes = 2000

// compileTimeout bounds how long requests may wait for an index.
const compileTimeout = 10 * time.Second

// cache keeps the indexes of the clusters in use.
type cache struct {
	from reader.Reader

	mu       sync.Mutex
	indexes  *lru.Cache                       // logicalcluster.Name to *index
	building map[logicalcluster.Name]*pending // removed by a change, which keeps the outcome out of indexes
	inStep   map[schema.GroupResource]bool    // which watches are between Synced and Reset
}

// pending is an index that is being built.
type pending struct {
	done  chan struct{} // closed when the rest is set
	index *index
	err   error
}

func newCache(from reader.Reader) *cache {
	return &cache{
		from:     from,
		indexes:  lru.New(maxIndexes),
		building: map[logicalcluster.Name]*pending{},
		inStep:   map[schema.GroupResource]bool{},
	}
}

// get returns the index of cluster, building it when there is none. Requests for one cluster share a build, except that one
// that comes after a change never joins a build from before it.
func (c *cache) get(ctx context.Context, cluster logicalcluster.Name) (*index, error) {
	c.mu.Lock()
	if ix, ok := c.indexes.Get(cluster); ok {
		c.mu.Unlock()
		return ix.(*index), nil
	}
	p := c.building[cluster]
	if p == nil {
		p = &pending{done: make(chan struct{})}
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

// build fills p in, and keeps the index unless something changed in the meantime or might have gone unnoticed.
func (c *cache) build(ctx context.Context, cluster logicalcluster.Name, p *pending) {
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	p.index, p.err = compile(ctx, c.from, cluster)

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
	for _, resource := range followed() {
		if !c.inStep[resource] {
			return false
		}
	}
	return true
}

// handle takes notice of an event on resource.
func (c *cache) handle(resource schema.GroupResource, event reader.Event) {
	if event.Object != nil {
		c.forget(logicalcluster.From(event.Object))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inStep[resource] = event.Type == reader.Synced
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
	c.handle(resource, reader.Event{Type: reader.Reset})
}
