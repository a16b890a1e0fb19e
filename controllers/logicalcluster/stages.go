package logicalcluster

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// stages are the stages of deletion in order. Each function selects the resources that its stage skips. The last stage checks
// everything again, so that the sweep removes no object whose finalizers were not respected. The sweep deletes the LogicalCluster
// itself.
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

// position is the progress of the deletion of a cluster.
type position struct {
	stage int
	// waiting are the resources that blocked the stage the last time. Only these are checked until they are gone, because a check
	// of all resources is expensive, and a deletion is checked often.
	waiting []schema.GroupResource
}

// progress stores positions of clusters that are being deleted. A cluster without a position starts at the first stage.
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

// empty continues to delete content and returns what blocks it; nothing if the cluster is empty.
func (r *reconciler) empty(ctx context.Context, key client.Key) (client.Remaining, error) {
	all := stages()
	for at := r.progress.get(key); at.stage < len(all); r.progress.set(key, at) {
		skip := all[at.stage]
		if len(at.waiting) > 0 {
			skip = func(gr schema.GroupResource) bool { return !slices.Contains(at.waiting, gr) }
		}
		remaining, err := r.Content.DeleteAll(ctx, key.Cluster, "", skip)
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
