package watchcache

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// writes knows when something was last written in a cluster, from what its cacher takes in. Clusters share a few numbers, so that
// it never grows: for a cluster that shares one with a busy cluster, it may name a later revision. The cacher shows it each event
// before the event counts as reached.
type writes struct {
	seed maphash.Seed // random, so that nobody can choose clusters that share a number
	last [1024]atomic.Uint64
	// listed is the revision of the last list from which the cacher was filled. Nobody knows what the list does not hold any more.
	listed atomic.Uint64
}

func newWrites() *writes { return &writes{seed: maphash.MakeSeed()} }

// in returns the number of a cluster.
func (w *writes) in(cluster string) *atomic.Uint64 {
	return &w.last[maphash.String(w.seed, cluster)%uint64(len(w.last))]
}

// note takes in one object, in the state after the write.
func (w *writes) note(cluster string, obj runtime.Object) {
	revision, err := apistorage.APIObjectVersioner{}.ObjectResourceVersion(obj)
	if err != nil {
		revision = math.MaxUint64 // as if something were written all the time
	}
	raise(w.in(cluster), revision)
}

// upTo returns a revision after which nothing was written in cluster.
func (w *writes) upTo(cluster string) uint64 { return max(w.in(cluster).Load(), w.listed.Load()) }

func raise(to *atomic.Uint64, revision uint64) {
	for at := to.Load(); at < revision && !to.CompareAndSwap(at, revision); {
		at = to.Load()
	}
}

// GetList implements storage.Interface: a cacher fills itself with the result.
func (l listOnly) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	if err := l.Interface.GetList(ctx, key, opts, list); err != nil {
		return err
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return fmt.Errorf("reading a list: %w", err)
	}
	revision, err := apistorage.APIObjectVersioner{}.ParseResourceVersion(accessor.GetResourceVersion())
	if err != nil {
		return fmt.Errorf("reading a list: %w", err)
	}
	raise(&l.writes.listed, revision)
	return nil
}

// unchanged reports whether the cache has reached revision until, and nothing was written in cluster after revision since.
func (c *Cache) unchanged(cluster logicalcluster.Name, since, until uint64) bool {
	return c.reached(until) && c.writes.upTo(cluster.String()) <= since // in this order: what is reached has been noted
}
