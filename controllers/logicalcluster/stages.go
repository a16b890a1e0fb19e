package logicalcluster

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// stages say, in the order of deletion, which resources are left alone by each. The last one looks at everything again, so
// that nothing is swept away whose finalizers nobody asked; the LogicalCluster itself goes with the sweep.
func stages() []func(schema.GroupResource) bool {
	late := [][]schema.GroupResource{{apiBindings}, {clusterRoles, clusterRoleBindings}}
	all := []func(schema.GroupResource) bool{func(gr schema.GroupResource) bool {
		return gr == logicalClusters || slices.ContainsFunc(late, func(group []schema.GroupResource) bool { return slices.Contains(group, gr) })
	}}
	for _, group := range late {
		all = append(all, func(gr schema.GroupResource) bool { return !slices.Contains(group, gr) })
	}
	return append(all, func(gr schema.GroupResource) bool { return gr == logicalClusters })
}

// position is how far the deletion of a cluster has come.
type position struct {
	stage int
	// waiting are the resources that held the stage up the last time, and the only ones to look at until they are gone: a
	// look at all resources is dear, and a deletion is looked at often.
	waiting []schema.GroupResource
}

// progress remembers positions, only of clusters that are being deleted. What is forgotten begins from the start.
type progress struct {
	mu        sync.Mutex
	positions map[client.Key]position
}

func (p *progress) get(key client.Key) position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.positions[key]
}

func (p *progress) set(key client.Key, at position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.positions == nil {
		p.positions = map[client.Key]position{}
	}
	p.positions[key] = at
}

func (p *progress) forget(key client.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.positions, key)
}

// empty deletes content from where it was left and returns what holds it up; nothing when the cluster is empty.
func (r *reconciler) empty(ctx context.Context, key client.Key) (client.Remaining, error) {
	all := stages()
	for at := r.progress.get(key); at.stage < len(all); r.progress.set(key, at) {
		skip := all[at.stage]
		if len(at.waiting) > 0 {
			skip = func(gr schema.GroupResource) bool { return !slices.Contains(at.waiting, gr) }
		}
		remaining, err := r.Content.DeleteAll(ctx, client.ContentScope{Cluster: key.Cluster, Skip: skip})
		if err != nil {
			return remaining, err
		}
		if !remaining.Empty() {
			at.waiting = nil
			for gr := range remaining.Resources {
				at.waiting = append(at.waiting, gr)
			}
			r.progress.set(key, at)
			return remaining, nil
		}
		waited := len(at.waiting) > 0
		at.waiting = nil
		if !waited || at.stage < len(all)-1 {
			at.stage++
		}
	}
	return client.Remaining{}, nil
}
