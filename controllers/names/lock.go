package names

import (
	"sync"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// locks has a lock for each cluster that somebody locks or waits for.
type locks struct {
	mu sync.Mutex
	of map[logicalcluster.Name]*clusterLock
}

type clusterLock struct {
	sync.Mutex
	users int
}

func (l *locks) lock(cluster logicalcluster.Name) (unlock func()) {
	l.mu.Lock()
	if l.of == nil {
		l.of = map[logicalcluster.Name]*clusterLock{}
	}
	held := l.of[cluster]
	if held == nil {
		held = &clusterLock{}
		l.of[cluster] = held
	}
	held.users++
	l.mu.Unlock()
	held.Lock()
	return func() {
		held.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if held.users--; held.users == 0 {
			delete(l.of, cluster)
		}
	}
}

// held reports whether somebody locks cluster or waits for it.
func (l *locks) held(cluster logicalcluster.Name) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[cluster] != nil
}
