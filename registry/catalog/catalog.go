package catalog

import (
	"context"
	"fmt"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// defaultCapacity is how many clusters' snapshots are kept; most are shared, so an entry is about 300 bytes.
	defaultCapacity = 16384
	// hashedCapacity is how many definitions of bound schemas are remembered by resourceVersion.
	hashedCapacity = 512
	// buildTimeout ends a computation whose reads hang; it is not bound to the request that began it, since others wait too.
	buildTimeout = 30 * time.Second
	// buildAttempts is how often a computation is repeated that events overtook, before its result is handed out unkept.
	buildAttempts = 3
)

// Config says what a Catalog is made of.
type Config struct {
	// Reader reads customresourcedefinitions and apibindings, possibly a little behind.
	Reader client.Reader
	// Live reads what was acknowledged before the call; nil stands for Reader.
	Live client.Reader
	// Typed says which bound resources are served by typed REST storage; nil for none.
	Typed func(schema.GroupResource) bool
	// Builtin says which resources every cluster serves by typed REST storage. A definition or binding never replaces one.
	// Nil for none.
	Builtin func(schema.GroupResource) bool
	// Capacity bounds how many clusters' snapshots are kept; 0 stands for 16384.
	Capacity int
}

// Catalog computes and keeps snapshots. It is safe for concurrent use.
type Catalog struct {
	reader, live   client.Reader
	typed, builtin func(schema.GroupResource) bool

	definitions pool[apiextensionsv1.CustomResourceDefinition]
	resources   pool[Resource]
	snapshots   pool[Snapshot]
	hashed      *lru.Cache

	mu sync.Mutex
	// kept maps clusters to snapshots; users maps the UID of a bound schema to the clusters kept that use it.
	kept  *lru.Cache
	users map[string]map[logicalcluster.Name]struct{}
	// synced counts the watches that are complete. Nothing is kept before both are, since nothing would drop it.
	synced map[schema.GroupResource]bool
	// flights are the computations under way; refreshes those with consistent reads.
	flights   map[logicalcluster.Name]*flight
	refreshes map[logicalcluster.Name]*refresh

	holds   map[logicalcluster.Name]map[*hold]struct{}
	recheck map[logicalcluster.Name]struct{}
	wake    chan struct{}
}

// flight is one computation that several callers may wait for.
type flight struct {
	done     chan struct{}
	snapshot *Snapshot
	err      error
	// stale says that an event has overtaken the reads; guarded by Catalog.mu.
	stale bool
}

// refresh holds the consistent computation that runs for a cluster, and the one that begins when it ends: who asks while
// one runs must wait for the next, whose reads begin later.
type refresh struct{ running, next *flight }

// New returns a catalog. It answers at once, and keeps what it computed as soon as Run watches.
func New(config Config) *Catalog {
	c := &Catalog{
		reader: config.Reader, live: config.Live, typed: config.Typed, builtin: config.Builtin,
		hashed:    lru.New(hashedCapacity),
		users:     map[string]map[logicalcluster.Name]struct{}{},
		synced:    map[schema.GroupResource]bool{},
		flights:   map[logicalcluster.Name]*flight{},
		refreshes: map[logicalcluster.Name]*refresh{},
		holds:     map[logicalcluster.Name]map[*hold]struct{}{},
		recheck:   map[logicalcluster.Name]struct{}{},
		wake:      make(chan struct{}, 1),
	}
	none := func(schema.GroupResource) bool { return false }
	if c.live == nil {
		c.live = c.reader
	}
	if c.typed == nil {
		c.typed = none
	}
	if c.builtin == nil {
		c.builtin = none
	}
	capacity := config.Capacity
	if capacity == 0 {
		capacity = defaultCapacity
	}
	// Called with c.mu held, since kept is only touched so.
	c.kept = lru.NewWithEvictionFunc(capacity, func(key lru.Key, value any) {
		c.forgetUsers(key.(logicalcluster.Name), value.(*Snapshot))
	})
	return c
}

// For returns what cluster serves, as the watch caches have it. A cluster that does not exist serves nothing.
func (c *Catalog) For(ctx context.Context, cluster logicalcluster.Name) (*Snapshot, error) {
	c.mu.Lock()
	if kept, ok := c.kept.Get(cluster); ok {
		c.mu.Unlock()
		return kept.(*Snapshot), nil
	}
	f, running := c.flights[cluster]
	if !running {
		f = &flight{done: make(chan struct{})}
		c.flights[cluster] = f
	}
	c.mu.Unlock()
	if !running {
		go c.fly(context.WithoutCancel(ctx), cluster, f, c.reader, func() {
			if c.flights[cluster] == f {
				delete(c.flights, cluster)
			}
		})
	}
	return f.wait(ctx, cluster)
}

// Refresh returns what cluster serves from reads that begin after the call and miss nothing acknowledged before it. Ask it
// before answering that a resource does not exist. Calls for one cluster share their reads.
func (c *Catalog) Refresh(ctx context.Context, cluster logicalcluster.Name) (*Snapshot, error) {
	c.mu.Lock()
	r, ok := c.refreshes[cluster]
	var f *flight
	switch {
	case !ok:
		f = &flight{done: make(chan struct{})}
		c.refreshes[cluster] = &refresh{running: f}
		go c.refresh(context.WithoutCancel(ctx), cluster, f)
	case r.next == nil:
		f = &flight{done: make(chan struct{})}
		r.next = f
	default:
		f = r.next
	}
	c.mu.Unlock()
	return f.wait(ctx, cluster)
}

func (c *Catalog) refresh(ctx context.Context, cluster logicalcluster.Name, f *flight) {
	c.fly(ctx, cluster, f, c.live, func() {
		r := c.refreshes[cluster]
		if r.next == nil {
			delete(c.refreshes, cluster)
			return
		}
		r.running, r.next = r.next, nil
		go c.refresh(ctx, cluster, r.running)
	})
}

// fly computes until no event has overtaken the reads, keeps the snapshot and ends the flight. land is called with the lock
// held when the flight is over.
func (c *Catalog) fly(ctx context.Context, cluster logicalcluster.Name, f *flight, from client.Reader, land func()) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	defer close(f.done)
	for attempt := 1; ; attempt++ {
		snapshot, err := c.build(ctx, from, cluster)
		c.mu.Lock()
		if err == nil && f.stale && attempt < buildAttempts {
			f.stale = false
			c.mu.Unlock()
			continue
		}
		if err == nil && !f.stale && c.synced[definitionsResource] && c.synced[bindingsResource] {
			c.keep(cluster, snapshot)
		}
		f.snapshot, f.err = snapshot, err
		land()
		c.mu.Unlock()
		return
	}
}

func (f *flight) wait(ctx context.Context, cluster logicalcluster.Name) (*Snapshot, error) {
	select {
	case <-f.done:
		if f.err != nil {
			return nil, fmt.Errorf("finding out what %q serves: %w", cluster, f.err)
		}
		return f.snapshot, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("finding out what %q serves: %w", cluster, context.Cause(ctx))
	}
}

// keep stores the snapshot of cluster; the lock is held.
func (c *Catalog) keep(cluster logicalcluster.Name, snapshot *Snapshot) {
	c.kept.Remove(cluster)
	c.kept.Add(cluster, snapshot)
	for _, uid := range snapshot.schemas {
		if c.users[uid] == nil {
			c.users[uid] = map[logicalcluster.Name]struct{}{}
		}
		c.users[uid][cluster] = struct{}{}
	}
}

// forgetUsers takes cluster out of the index; the lock is held.
func (c *Catalog) forgetUsers(cluster logicalcluster.Name, snapshot *Snapshot) {
	for _, uid := range snapshot.schemas {
		delete(c.users[uid], cluster)
		if len(c.users[uid]) == 0 {
			delete(c.users, uid)
		}
	}
}

// BoundResource returns the resource of the schema uid as a binding would bind it with the given identity hash; false when
// no binding of the schema exists yet.
func (c *Catalog) BoundResource(ctx context.Context, gr schema.GroupResource, uid, identity string) (*Resource, bool, error) {
	b := &builder{catalog: c, from: c.reader, schemas: map[string]bool{}}
	r, err := b.resolve(ctx, gr, uid, identity)
	if err != nil || r == nil {
		return nil, false, err
	}
	return c.resources.get(r.identity(), func() *Resource { return r }), true, nil
}

// ResourceOf returns the resource that crd, which need not be stored anywhere, stands for in the given bucket. It has the
// hash that crd would have if it were stored.
func (c *Catalog) ResourceOf(crd *apiextensionsv1.CustomResourceDefinition, bucket string) (*Resource, error) {
	stored, err := asStored(crd)
	if err != nil {
		return nil, err
	}
	definition, err := c.Definition(stored)
	if err != nil {
		return nil, err
	}
	r := fromDefinition(definition)
	r.Bucket = bucket
	return c.resources.get(r.identity(), func() *Resource { return r }), nil
}
