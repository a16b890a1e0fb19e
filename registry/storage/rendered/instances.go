package rendered

import (
	"sync"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/held"
	"github.com/annex-dev/annex/registry/lru"
)

// instanceBytes is about what an instance takes in memory without its values.
const instanceBytes = 300

// instances finds the instance of a cluster as long as somebody holds it: watch caches do, for each object that they have of it, and the
// ones last used are held here. It is safe for concurrent use.
type instances struct {
	recent *lru.Cache[logicalcluster.Name, *instance]
	all    held.Map[logicalcluster.Name, instance]
	// changing is held while both change.
	changing sync.Mutex
}

// newInstances returns instances that holds as many bytes.
func newInstances(limit int64) *instances {
	return &instances{recent: lru.New[logicalcluster.Name, *instance](limit, nil)}
}

// Get returns the instance of a cluster. One that is in use is found without asking a weak pointer, which may have to wait.
func (s *instances) Get(cluster logicalcluster.Name) (*instance, bool) {
	if known, ok := s.recent.Get(cluster); ok {
		return known, true
	}
	known := s.all.Get(cluster)
	if known == nil {
		return nil, false
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.all.Has(cluster, known) { // it was not dropped meanwhile, nor has it a successor
		s.hold(known)
	}
	return known, true
}

// Put remembers the instance of its cluster.
func (s *instances) Put(i *instance) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.all.Put(i.values.cluster, i)
	s.hold(i)
}

// hold keeps an instance as the one that was used last; changing is held.
func (s *instances) hold(i *instance) {
	cluster := i.values.cluster
	s.recent.Put(cluster, i, instanceBytes+i.bytes, cluster.String())
}

// Drop forgets the instance of a cluster.
func (s *instances) Drop(cluster logicalcluster.Name) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.all.Drop(cluster)
	s.recent.Drop(cluster.String())
}
