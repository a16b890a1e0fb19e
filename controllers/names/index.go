package names

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/apis/naming"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

var (
	// Definitions are CustomResourceDefinitions.
	Definitions = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
	// Bindings are APIBindings.
	Bindings = apisv1alpha2.Resource("apibindings")
)

const (
	// capacity is how many names are kept; each takes some 200 bytes. A cluster counts as clusterNames more.
	capacity     = 100_000
	clusterNames = 6
	// schemasKnown is how many bound schemas' names are remembered.
	schemasKnown = 4096
)

// Holder is an object that has names.
type Holder struct {
	// Resource is Definitions or Bindings.
	Resource schema.GroupResource
	Key      client.Key
}

// Record says which names a holder has. It does not change.
type Record struct {
	Holder
	// Taken are the names that it has. Reserved are names that it requests and has not been refused yet: a binding leaves them to the
	// definition, and other definitions do not.
	Taken, Reserved []naming.Names

	// revision is that of the object from which the record was made.
	revision uint64
}

// Index knows the names in use. It is safe for concurrent use.
type Index struct {
	config multicluster.Config
	locks  locks
	// schemas maps the UID of a bound schema to its names, which never change.
	schemas *lru.Cache

	mu       sync.Mutex
	clusters map[logicalcluster.Name]*cluster
	// used contains the names of the clusters, the least recently used first. total is how many names they count together.
	used  *list.List
	total int
	// seen is the revision of the last event of each resource.
	seen map[schema.GroupResource]uint64
	// adders queue a key with the controller of a resource. early contains what is to be queued with a controller that does not run yet.
	adders   map[schema.GroupResource]func(key client.Key, after time.Duration)
	early    map[Holder]struct{}
	capacity int
}

// New returns an index that reads clusters with the readers of c.
func New(c multicluster.Config) *Index {
	return &Index{
		config:   c,
		schemas:  lru.New(schemasKnown),
		clusters: map[logicalcluster.Name]*cluster{},
		used:     list.New(),
		seen:     map[schema.GroupResource]uint64{},
		adders:   map[schema.GroupResource]func(client.Key, time.Duration){},
		early:    map[Holder]struct{}{},
		capacity: capacity,
	}
}

// Lock waits until nobody else decides about names in cluster, and keeps others out until unlock is called.
func (i *Index) Lock(cluster logicalcluster.Name) (unlock func()) { return i.locks.lock(cluster) }

// Others returns the records of all but holder that have a name of newcomer, bindings before definitions, in the order of their names.
// The caller holds the lock of the cluster. If the index does not have the cluster, it reads it from reader: a live one unless nothing
// was written there lately. After Others, call Wait.
func (i *Index) Others(ctx context.Context, reader client.Reader, holder Holder, newcomer naming.Names) ([]*Record, error) {
	c, err := i.in(ctx, reader, holder.Key.Cluster)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	// Until it calls Wait, it is queued again whatever is released.
	c.any[holder] = struct{}{}
	var found []*Record
	for _, s := range slotsOf(newcomer) {
		for _, r := range c.holders[s] {
			if r.Holder != holder && !slices.Contains(found, r) {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b *Record) int {
		return cmp.Or(cmp.Compare(b.Resource.Group, a.Resource.Group), cmp.Compare(a.Key.Name, b.Key.Name))
	})
	return found, nil
}

// Wait has holder queued when somebody else releases one of the names; without names it waits for nothing any more. The caller holds
// the lock of the cluster.
func (i *Index) Wait(holder Holder, wanted ...naming.Names) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c := i.clusters[holder.Key.Cluster]; c != nil {
		c.wait(holder, wanted)
	}
}

// Wrote takes in what the caller has written, which is what Others returns from now on. Names that obj no longer has are released when
// the watch shows them released. The caller holds the lock of the cluster.
func (i *Index) Wrote(ctx context.Context, obj client.Object) error {
	if !i.keeps(logicalcluster.From(obj)) {
		return nil
	}
	r, err := i.record(ctx, obj)
	if err != nil || r == nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.clusters[r.Key.Cluster]
	if c == nil || r.revision <= i.seen[r.Resource] {
		return nil // the watch has shown it, and perhaps what came after it
	}
	if old := c.records[r.Holder]; old != nil {
		r.Taken, r.Reserved = slices.Concat(r.Taken, old.Taken), slices.Concat(r.Reserved, old.Reserved)
	}
	i.change(c, func() { c.put(r) })
	return nil
}

// keeps reports whether the index has the names of cluster, or is reading them.
func (i *Index) keeps(cluster logicalcluster.Name) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.clusters[cluster] != nil
}

// in returns the names of cluster, and reads them unless it has them.
func (i *Index) in(ctx context.Context, from client.Reader, name logicalcluster.Name) (*cluster, error) {
	i.mu.Lock()
	c := i.clusters[name]
	if c == nil {
		c = newCluster()
		c.place = i.used.PushBack(name)
		i.clusters[name] = c
		i.total += c.names
	}
	i.used.MoveToBack(c.place)
	i.mu.Unlock()
	// Who comes second waits for the first.
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.complete {
		return c, nil
	}
	records, undecided, err := i.read(ctx, from, name)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.drop(name)
		return nil, err
	}
	i.change(c, func() {
		if c.fill(records, undecided) {
			i.queue(c.takeUndecided())
		}
	})
	i.shrink()
	return c, nil
}

// change has do change c; the mutex is held.
func (i *Index) change(c *cluster, do func()) {
	before := c.names
	do()
	if i.clusters[i.nameOf(c)] == c {
		i.total += c.names - before
	}
}

func (i *Index) nameOf(c *cluster) logicalcluster.Name { return c.place.Value.(logicalcluster.Name) }

// drop forgets the cluster; the mutex is held.
func (i *Index) drop(name logicalcluster.Name) {
	if c := i.clusters[name]; c != nil {
		i.used.Remove(c.place)
		i.total -= c.names
		delete(i.clusters, name)
	}
}

// shrink drops the least recently used clusters that nobody decides about until the names fit; the mutex is held.
func (i *Index) shrink() {
	for place := i.used.Front(); place != nil && i.total > i.capacity; {
		name := place.Value.(logicalcluster.Name)
		place = place.Next()
		if i.clusters[name].complete && !i.locks.held(name) {
			i.drop(name)
		}
	}
}

// queue queues the holders with their controllers; the mutex is held.
func (i *Index) queue(holders []Holder) {
	for _, holder := range holders {
		if add := i.adders[holder.Resource]; add != nil {
			add(holder.Key, 0)
		} else {
			i.early[holder] = struct{}{}
		}
	}
}
