package index

import (
	"context"
	"sync"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// holds are the requests in progress that end when their cluster becomes inactive. The zero value is empty.
type holds struct {
	mu   sync.Mutex
	open map[logicalcluster.Name]map[*held]struct{}
}

type held struct{ cancel context.CancelFunc }

// Hold returns a context that ends with ctx, or as soon as the cluster called name is in phase Inactive. Watches of
// users who may not enter an inactive cluster use this context. Call the returned function when the request ends.
func (i *Index) Hold(ctx context.Context, name logicalcluster.Name) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	h := &held{cancel: cancel}
	i.holds.mu.Lock()
	if i.holds.open == nil {
		i.holds.open = map[logicalcluster.Name]map[*held]struct{}{}
	}
	if i.holds.open[name] == nil {
		i.holds.open[name] = map[*held]struct{}{}
	}
	i.holds.open[name][h] = struct{}{}
	i.holds.mu.Unlock()
	// The cluster may have become inactive since the request was authorized.
	i.endHolds(name)
	return ctx, func() {
		cancel()
		i.holds.mu.Lock()
		defer i.holds.mu.Unlock()
		delete(i.holds.open[name], h)
		if len(i.holds.open[name]) == 0 {
			delete(i.holds.open, name)
		}
	}
}

// endHolds ends the requests in a cluster that is inactive.
func (i *Index) endHolds(name logicalcluster.Name) {
	if entry, _ := i.clusters.get(name); entry.phase != string(corev1alpha1.LogicalClusterPhaseInactive) {
		return
	}
	i.holds.mu.Lock()
	defer i.holds.mu.Unlock()
	for h := range i.holds.open[name] {
		h.cancel()
	}
}

// endAllHolds does the same for every cluster, because changes may have been missed.
func (i *Index) endAllHolds() {
	i.holds.mu.Lock()
	var names []logicalcluster.Name
	for name := range i.holds.open {
		names = append(names, name)
	}
	i.holds.mu.Unlock()
	for _, name := range names {
		i.endHolds(name)
	}
}
