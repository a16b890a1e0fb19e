package raw

import (
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// scopesKept is how many scopes a cache holds before it looks for those that hold nothing any more.
	scopesKept = 256
	// scopesTimeout bounds that look.
	scopesTimeout = 30 * time.Second
)

// scopes holds one field set for each base - a prefix down to a bucket - that has objects in a cache, shared by them all. By
// it the cacher files the watches of wildcards. It also knows in which bases a cluster may have objects, so that nobody reads
// the kinds of all tenants to find those of one.
//
// A tenant makes a base with each kind of custom resource, and may throw it away again. Whenever the bases have doubled since
// the last look, those without a key in etcd go, so that there are never many more than kinds in use.
type scopes struct {
	// live returns which of the bases have keys in etcd now; nil for a cache whose bases are fixed.
	live func(ctx context.Context, bases []string) ([]bool, error)

	lock  sync.RWMutex
	known map[string]*scope
	// round counts the looks; limit is how many bases bring about the next one, and looking that it goes on.
	round   uint64
	limit   int
	looking bool
}

type scope struct {
	set      fields.Set
	resource schema.GroupResource
	bucket   string
	// seen is the last round in which an object of it was met.
	seen atomic.Uint64
	// clusters has a bit set for each cluster in which an object of it was met. Clusters may share a bit, and bits are never
	// cleared. So a base that thousands of clusters use may be read for a cluster that has nothing there, which costs one seek.
	clusters [clusterBits / 64]atomic.Uint64
}

// clusterBits is the size of scope.clusters. A base that ten clusters use is read for one in four hundred other clusters.
const clusterBits = 4096

// newScope returns the scope of a base such as /cr/8/example.com/widgets/crd.
func newScope(base string) *scope {
	base = strings.Clone(base) // not to keep the object
	s := &scope{set: fields.Set{"metadata.namespace": base}}
	if parts := strings.Split(base, "/"); len(parts) == 6 {
		s.resource, s.bucket = schema.GroupResource{Group: parts[3], Resource: parts[4]}, parts[5]
	}
	return s
}

// bit returns where in scope.clusters a cluster is: the word and the bit in it.
func bit(cluster string) (word int, mask uint64) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cluster)) // never fails
	at := int(h.Sum32() % clusterBits)
	return at / 64, 1 << (at % 64)
}

// meet notes that cluster has an object here.
func (s *scope) meet(cluster string, round uint64) {
	if s.seen.Load() != round {
		s.seen.Store(round)
	}
	if word, mask := bit(cluster); s.clusters[word].Load()&mask == 0 {
		s.clusters[word].Or(mask)
	}
}

func newScopes(live func(context.Context, []string) ([]bool, error)) *scopes {
	return &scopes{live: live, known: map[string]*scope{}, limit: scopesKept}
}

// of returns the field set of a base, in which cluster has an object.
func (s *scopes) of(base, cluster string) fields.Set {
	s.lock.RLock()
	found, ok := s.known[base]
	if ok {
		// Under the lock: a look that ends forgets no scope that was met after it began.
		found.meet(cluster, s.round)
		s.lock.RUnlock()
		return found.set
	}
	s.lock.RUnlock()
	s.lock.Lock()
	defer s.lock.Unlock()
	if found, ok = s.known[base]; !ok {
		found = newScope(base)
		s.known[found.set["metadata.namespace"]] = found
	}
	found.meet(cluster, s.round)
	if s.live != nil && !s.looking && len(s.known) >= s.limit {
		s.looking = true
		go s.look()
	}
	return found.set
}

// Kind is what a cache holds of one resource, and for custom resources of one bucket of it.
type Kind struct {
	Base     string // what the keys of its objects begin with, down to the bucket
	Resource schema.GroupResource
	Bucket   string // empty for typed resources
}

// holding returns the kinds that may have objects of cluster, or of any cluster if it is empty.
func (s *scopes) holding(cluster logicalcluster.Name) []Kind {
	word, mask := bit(cluster.String())
	s.lock.RLock()
	defer s.lock.RUnlock()
	var all []Kind
	for base, found := range s.known {
		if cluster.Empty() || found.clusters[word].Load()&mask != 0 {
			all = append(all, Kind{Base: base, Resource: found.resource, Bucket: found.bucket})
		}
	}
	return all
}

// all returns every base that may have objects.
func (s *scopes) all() []string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return slices.Collect(maps.Keys(s.known))
}

// look forgets the bases that have no key in etcd. What is written while it goes on is met by the cache afterwards, and is
// kept or comes back by that.
func (s *scopes) look() {
	ctx, cancel := context.WithTimeout(context.Background(), scopesTimeout)
	defer cancel()
	s.lock.Lock()
	s.round++
	s.lock.Unlock()
	bases := s.all()
	live, err := s.live(ctx, bases)
	s.lock.Lock()
	defer s.lock.Unlock()
	if err != nil {
		klog.FromContext(ctx).V(4).Info("Looking for unused kinds of custom resources failed", "err", err)
	} else {
		for i, base := range bases {
			if found := s.known[base]; found != nil && !live[i] && found.seen.Load() < s.round {
				delete(s.known, base)
			}
		}
	}
	s.limit, s.looking = max(scopesKept, 2*len(s.known)), false
}
