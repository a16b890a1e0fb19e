package multicluster

import (
	"sync"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Underway holds the work of a controller that takes many reconciles: a value for each object whose work is under way. That is one object of each
// cluster, half of Most of each tenant, and Most in all; the others wait. It is safe for concurrent use. After a restart, it is empty.
type Underway[T any] struct {
	// Most is how many objects may be under way.
	Most int

	mu sync.Mutex
	by map[client.Key]held[T]
}

type held[T any] struct {
	tenant logicalcluster.Path
	work   T
}

// Begin notes that the object called key, of a tenant, is under way, unless too many are or another one of its cluster is.
func (u *Underway[T]) Begin(key client.Key, tenant logicalcluster.Path, work T) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.by) >= u.Most {
		return false
	}
	ofTenant := 0
	for other, h := range u.by {
		if other.Cluster == key.Cluster {
			return false
		}
		if h.tenant == tenant {
			ofTenant++
		}
	}
	if ofTenant > 0 && 2*ofTenant >= u.Most {
		return false
	}
	if u.by == nil {
		u.by = map[client.Key]held[T]{}
	}
	u.by[key] = held[T]{tenant, work}
	return true
}

// Of returns the work of an object, and whether it is under way.
func (u *Underway[T]) Of(key client.Key) (work T, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h, ok := u.by[key]
	return h.work, ok
}

// End notes that an object is not under way any more. It does not have to be.
func (u *Underway[T]) End(key client.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.by, key)
}

// Len returns how many objects are under way.
func (u *Underway[T]) Len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.by)
}
