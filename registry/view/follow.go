package view

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
)

// Run follows the watches until ctx ends, and returns nil then, or the reason why one of them cannot be had. When one ends, so do
// the others, because nothing may be kept without it. Call it once.
func (v *View[T]) Run(ctx context.Context) error {
	return follow.All(ctx, v.config.Reader, v.config.Resources, v.observe)
}

// InStep reports whether all watches are in step: values that are compiled now are kept.
func (v *View[T]) InStep() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.complete()
}

// complete reports whether every change is being seen; the lock is held.
func (v *View[T]) complete() bool {
	for _, resource := range v.config.Resources {
		if !v.inStep[resource] {
			return false
		}
	}
	return true
}

// observe takes in one event of a watch.
func (v *View[T]) observe(resource schema.GroupResource, event client.Event) {
	for _, cluster := range v.drop(resource, event) {
		if v.config.Changed != nil {
			v.config.Changed(cluster)
		}
	}
}

// drop forgets what event may have changed and returns whom to report. Between Reset and Synced nobody is reported, since
// everybody is afterwards.
func (v *View[T]) drop(resource schema.GroupResource, event client.Event) []logicalcluster.Name {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.config.Sparse {
		v.counts.take(resource, event)
	}
	if event.Object == nil {
		v.inStep[resource] = event.Type == client.Synced
		v.kept.clear()
		for cluster := range v.slots {
			v.advance(cluster)
		}
		if event.Type == client.Synced {
			return []logicalcluster.Name{""}
		}
		return nil
	}
	changed := object{resource, client.KeyOf(event.Object)}
	clusters := []logicalcluster.Name{changed.key.Cluster}
	for cluster := range v.kept.readers[changed] {
		clusters = append(clusters, cluster)
	}
	for cluster, s := range v.slots {
		if _, read := s.running.reads[changed]; read {
			clusters = append(clusters, cluster)
		}
	}
	for _, cluster := range clusters {
		v.kept.remove(cluster)
		v.advance(cluster)
	}
	if !v.inStep[resource] {
		return nil
	}
	return clusters
}
