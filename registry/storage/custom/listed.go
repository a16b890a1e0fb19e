package custom

import (
	"hash/maphash"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// Listed holds what the objects of lists were decoded to that are read again and again. Objects that are read once, such as all of a
// controller that starts, displace nothing: an object is held from its second time on, and only if not too many others came in between.
// Safe for many goroutines.
type Listed struct {
	cache *lru.Cache[listedKey, state]
	seed  maphash.Seed
	seen  []atomic.Uint64
}

// listedKey is an object as one storage decodes it: the same bytes read differently by another version or schema.
type listedKey struct {
	storage uint64
	key     string
}

// sightings is how many objects are remembered as seen, in 8 bytes each.
const sightings = 1 << 15

// NewListed returns what holds as many bytes.
func NewListed(limit int64) *Listed {
	return &Listed{cache: lru.New[listedKey, state](limit, nil), seed: maphash.MakeSeed(), seen: make([]atomic.Uint64, sightings)}
}

// Bytes returns about how many bytes the objects take, and how many they may take.
func (l *Listed) Bytes() (bytes, limit int64) { return l.cache.Bytes() }

// Drop drops the objects of a cluster.
func (l *Listed) Drop(cluster logicalcluster.Name) { l.cache.Drop(cluster.String()) }

// DropIdle drops the objects that nobody has listed since the call before.
func (l *Listed) DropIdle() { l.cache.DropIdle() }

// get returns what raw is decoded to; nil if that is not held.
func (l *Listed) get(storage uint64, raw *raw.Object) runtime.Object {
	held, ok := l.cache.Get(listedKey{storage, raw.Key()})
	if !ok || held.version != raw.GetResourceVersion() {
		return nil
	}
	return held.obj
}

// put holds obj, which raw was decoded to, if it was seen before. It reports whether others may get it from now on.
func (l *Listed) put(storage uint64, raw *raw.Object, obj runtime.Object) bool {
	key, version := raw.Key(), raw.GetResourceVersion()
	sight := maphash.Comparable(l.seed, struct {
		listedKey
		version string
	}{listedKey{storage, key}, version})
	if l.seen[sight%sightings].Swap(sight) != sight {
		return false
	}
	cluster, _, _, _ := raw.Tail()
	l.cache.Put(listedKey{storage, key}, state{version, obj}, heldBytes(obj, raw.Size()), cluster)
	return true
}
