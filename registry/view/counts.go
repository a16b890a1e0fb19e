package view

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// counts says how many objects of each resource a cluster has. Clusters without any are not in it.
type counts map[schema.GroupResource]map[logicalcluster.Name]int

// take takes in one event of a watch.
func (c counts) take(resource schema.GroupResource, event client.Event) {
	if event.Object == nil {
		if event.Type == client.Reset {
			c[resource] = map[logicalcluster.Name]int{}
		}
		return
	}
	in, cluster := c[resource], logicalcluster.From(event.Object)
	if in == nil {
		in = map[logicalcluster.Name]int{}
		c[resource] = in
	}
	switch event.Type {
	case client.Added:
		in[cluster]++
	case client.Modified:
		in[cluster] = max(1, in[cluster])
	case client.Deleted:
		if in[cluster]--; in[cluster] <= 0 {
			delete(in, cluster)
		}
	}
}

// empty reports whether cluster is known to have no object of any resource.
func (v *View[T]) empty(cluster logicalcluster.Name) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if cluster == "" || !v.complete() {
		return false
	}
	for _, in := range v.counts {
		if in[cluster] > 0 {
			return false
		}
	}
	return true
}
