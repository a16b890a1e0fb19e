package elsewhere

import (
	"context"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// followed are the resources of slices that open watches depend on. It holds nothing, and no goroutine runs, while there is none.
type followed struct {
	mu sync.Mutex
	by map[schema.GroupResource]*following
}

// following is one of them: how many watches depend on slices in which cluster.
type following struct {
	users map[logicalcluster.Name]int
	end   context.CancelFunc
}

// follow tells of changes of slices of a resource in cluster until done is called. What happened before is perhaps told, too.
func (e *Endpoint) follow(gr schema.GroupResource, cluster logicalcluster.Name) (done func()) {
	f := &e.followed
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.by[gr]
	if one == nil {
		if f.by == nil {
			f.by = map[schema.GroupResource]*following{}
		}
		ctx, end := context.WithCancel(context.Background())
		one = &following{users: map[logicalcluster.Name]int{}, end: end}
		f.by[gr] = one
		go e.watch(ctx, gr, one)
	}
	one.users[cluster]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if one.users[cluster]--; one.users[cluster] == 0 {
			delete(one.users, cluster)
		}
		if len(one.users) == 0 {
			one.end()
			delete(f.by, gr)
		}
	}
}

// watch tells of changes until ctx ends.
func (e *Endpoint) watch(ctx context.Context, gr schema.GroupResource, one *following) {
	scope := client.WatchScope{Resource: gr, Listed: func(client.Head) bool { return false }}
	_ = e.Content.Watch(ctx, scope, func(event client.HeadEvent) { // returns with ctx
		e.followed.mu.Lock()
		concerned := slices.Collect(maps.Keys(one.users))
		e.followed.mu.Unlock()
		for _, cluster := range concerned {
			if cluster == event.Head.Cluster || event.Type == client.Synced {
				e.Changed(cluster)
			}
		}
	})
}
