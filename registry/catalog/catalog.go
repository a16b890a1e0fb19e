package catalog

import (
	"context"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/held"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/view"
)

const (
	// defaultCapacity bounds the snapshots. Most are shared, and an entry is then a few hundred bytes.
	defaultCapacity = 64 << 20
	// defaultHashCapacity bounds the hashes of definitions that are remembered by resourceVersion.
	defaultHashCapacity = 8 << 20
	// buildTimeout ends a computation whose reads hang; it is not bound to the request that began it, since others wait too.
	buildTimeout = 30 * time.Second
)

// Config says what a Catalog is made of.
type Config struct {
	// Reader reads customresourcedefinitions and apibindings, possibly a little behind.
	Reader client.Reader
	// Fresh waits until Reader has reached what was acknowledged before the call; nil says that it is never behind.
	Fresh view.Fresh
	// Heads returns the heads of the customresourcedefinitions of a cluster, as Reader has them; nil to read the definitions themselves.
	Heads func(ctx context.Context, cluster logicalcluster.Name) ([]head.Head, error)
	// AllHeads returns the heads of the customresourcedefinitions of all clusters, as Reader has them. Only Anywhere needs it.
	AllHeads func(ctx context.Context) ([]head.Head, error)
	// IsBound says which bound resources are served by typed REST storage; nil for none.
	IsBound func(schema.GroupResource) bool
	// Builtin says which resources every cluster serves by typed REST storage. A definition or binding never replaces one.
	// Nil for none.
	Builtin func(schema.GroupResource) bool
	// Changed is told of a cluster after an event that may have changed what it serves; empty when that may be any cluster. It must
	// not block. Nil for nobody.
	Changed func(cluster logicalcluster.Name)
	// Capacity and HashCapacity bound the snapshots, and the hashes of definitions that are remembered, in bytes; 0 stands for 64 and 8 MiB.
	Capacity, HashCapacity int64
}

// Catalog computes and keeps snapshots. It is safe for concurrent use.
type Catalog struct {
	reader           client.Reader
	fresh            view.Fresh // may be nil
	isBound, builtin func(schema.GroupResource) bool
	heads            func(context.Context, logicalcluster.Name) ([]head.Head, error) // may be nil
	allHeads         func(context.Context) ([]head.Head, error)

	definitions held.Map[string, apiextensionsv1.CustomResourceDefinition]
	resources   held.Map[string, Resource]
	contents    held.Map[string, content]
	hashes      *lru.Cache[version, remembered]

	view *view.View[*Snapshot]
}

// Bytes returns about how many bytes snapshots take, and how many they may take.
func (c *Catalog) Bytes() (bytes, limit int64) { return c.view.Bytes() }

// HashBytes returns about how many bytes the hashes of definitions take, and how many they may take.
func (c *Catalog) HashBytes() (bytes, limit int64) { return c.hashes.Bytes() }

// Forget drops the hashes that are kept for cluster.
func (c *Catalog) Forget(cluster logicalcluster.Name) { c.hashes.Drop(cluster.String()) }

// Followed returns the resources that a Fresh waits for.
func Followed() []schema.GroupResource {
	return []schema.GroupResource{definitionsResource, bindingsResource}
}

// New returns a catalog. It answers at once, and keeps what it computed as soon as Run watches.
func New(config Config) *Catalog {
	c := &Catalog{reader: config.Reader, fresh: config.Fresh, heads: config.Heads, allHeads: config.AllHeads, isBound: config.IsBound, builtin: config.Builtin}
	if config.Capacity == 0 {
		config.Capacity = defaultCapacity
	}
	if config.HashCapacity == 0 {
		config.HashCapacity = defaultHashCapacity
	}
	c.hashes = lru.New[version, remembered](config.HashCapacity, nil)
	none := func(schema.GroupResource) bool { return false }
	if c.isBound == nil {
		c.isBound = none
	}
	if c.builtin == nil {
		c.builtin = none
	}
	if config.Changed == nil {
		config.Changed = func(logicalcluster.Name) {}
	}
	c.view = view.New(view.Config[*Snapshot]{
		Reader:    config.Reader,
		Fresh:     config.Fresh,
		Resources: Followed(),
		Compile:   c.build,
		Timeout:   buildTimeout,
		Size:      (*Snapshot).size,
		Shared:    (*Snapshot).shared,
		Own:       (*Snapshot).own,
		Capacity:  config.Capacity,
		Changed: func(cluster logicalcluster.Name) {
			if cluster == logicalcluster.SystemBoundCRDs {
				// Nobody remembers which of the clusters that are not kept bind the schema.
				cluster = ""
			}
			config.Changed(cluster)
		},
	})
	return c
}

// Run watches until ctx ends. Call it once, before requests are served.
func (c *Catalog) Run(ctx context.Context) error { return c.view.Run(ctx) }

// For returns what cluster serves, as the watch caches have it. A cluster that does not exist serves nothing.
func (c *Catalog) For(ctx context.Context, cluster logicalcluster.Name) (*Snapshot, error) {
	snapshot, err := c.view.Get(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("finding out what %q serves: %w", cluster, err)
	}
	return snapshot, nil
}

// Refresh returns what cluster serves, and misses nothing that was acknowledged before the call. Ask it before answering that a
// resource does not exist. Calls for one cluster share their reads.
func (c *Catalog) Refresh(ctx context.Context, cluster logicalcluster.Name) (*Snapshot, error) {
	snapshot, err := c.view.Now(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("finding out what %q serves: %w", cluster, err)
	}
	return snapshot, nil
}

// BoundResource returns the resource of the schema uid as a binding would bind it with the given identity hash; false when
// no binding of the schema exists yet, even after a look at everything that was acknowledged before the call.
func (c *Catalog) BoundResource(ctx context.Context, gr schema.GroupResource, uid, identity string) (*Resource, bool, error) {
	b := &builder{catalog: c, from: c.reader}
	r, err := b.resolve(ctx, gr, uid, identity)
	if err == nil && r == nil && c.fresh != nil {
		if _, err := c.fresh.Wait(ctx); err != nil {
			return nil, false, err
		}
		b = &builder{catalog: c, from: c.reader}
		r, err = b.resolve(ctx, gr, uid, identity)
	}
	if err != nil || r == nil {
		return nil, false, err
	}
	return c.resources.GetOrPut(r.identity(), func() *Resource { return r }), true, nil
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
	if r.Bucket = bucket; bucket != LocalBucket {
		r.Provider = providerOf(crd)
	}
	return c.resources.GetOrPut(r.identity(), func() *Resource { return r }), nil
}
