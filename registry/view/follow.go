package view

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Run follows the watches until ctx ends, and returns nil then, or the reason why a watch cannot be had at all. Call it once.
func (v *View[T]) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	failures := make([]error, len(v.config.Resources))
	for i, resource := range v.config.Resources {
		group.Go(func() {
			// When one watch ends, so do the others: without it nothing may be kept.
			defer cancel()
			defer v.observe(resource, client.Event{Type: client.Reset})
			err := v.config.Reader.Watch(ctx, resource, func(event client.Event) { v.observe(resource, event) })
			if err != nil && ctx.Err() == nil {
				failures[i] = fmt.Errorf("watching %s: %w", resource, err)
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
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
