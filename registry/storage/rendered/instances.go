package rendered

import (
	"runtime"
	"sync"
	"weak"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/lru"
)

// instanceBytes is about what an instance takes in memory without its values.
const instanceBytes = 300

// instances finds the instance of a cluster as long as somebody holds it: watch caches do, for each object that they have of it, and the
// latest ones are held here. It is safe for concurrent use.
type instances struct {
	recent *lru.Cache[logicalcluster.Name, *instance]
	lock   sync.RWMutex
	of     map[logicalcluster.Name]weak.Pointer[instance]
}

// newInstances returns instances that holds as many bytes.
func newInstances(limit int64) *instances {
	return &instances{
		recent: lru.New[logicalcluster.Name, *instance](limit, nil),
		of:     map[logicalcluster.Name]weak.Pointer[instance]{},
	}
}

// Get returns the instance of a cluster.
func (s *instances) Get(cluster logicalcluster.Name) (*instance, bool) {
	s.lock.RLock()
	known := s.of[cluster].Value()
	s.lock.RUnlock()
	if known != nil && len(known.template.Objects) == 0 { // no watch cache holds it
		s.recent.Get(cluster)
	}
	return known, known != nil
}

// Put remembers the instance of its cluster; bytes is what its values take.
func (s *instances) Put(i *instance, bytes int64) {
	cluster := i.values.cluster
	s.lock.Lock()
	s.of[cluster] = weak.Make(i)
	s.lock.Unlock()
	runtime.AddCleanup(i, s.clean, cluster)
	s.recent.Put(cluster, i, instanceBytes+bytes, cluster.String())
}

// Drop forgets the instance of a cluster.
func (s *instances) Drop(cluster logicalcluster.Name) {
	s.lock.Lock()
	delete(s.of, cluster)
	s.lock.Unlock()
	s.recent.Drop(cluster.String())
}

// clean forgets the instance of a cluster if nobody holds it any more; a later one stays.
func (s *instances) clean(cluster logicalcluster.Name) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if known, ok := s.of[cluster]; ok && known.Value() == nil {
		delete(s.of, cluster)
	}
}
