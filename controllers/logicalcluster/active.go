package logicalcluster

import (
	"sync"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// atOnce is the time until a cluster is looked at again that lost an object during the last look, and is not empty.
const atOnce = time.Millisecond

// active contains the clusters whose content is being deleted at this moment, each with whether it lost an object meanwhile: most
// objects that it loses, this controller deletes itself, and if nothing is left in the end, they need no further look. The zero value
// is empty. It is safe for concurrent use.
type active struct {
	mu       sync.Mutex
	clusters map[logicalcluster.Name]bool
}

func (a *active) begin(cluster logicalcluster.Name) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.clusters == nil {
		a.clusters = map[logicalcluster.Name]bool{}
	}
	a.clusters[cluster] = false
}

// note notes that cluster lost an object; false if it is not active.
func (a *active) note(cluster logicalcluster.Name) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, found := a.clusters[cluster]
	if found {
		a.clusters[cluster] = true
	}
	return found
}

// end reports whether cluster lost an object since begin.
func (a *active) end(cluster logicalcluster.Name) (noted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	noted = a.clusters[cluster]
	delete(a.clusters, cluster)
	return noted
}
