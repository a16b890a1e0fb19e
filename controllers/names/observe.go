package names

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Spec describes the controller that follows events for the index; it reconciles nothing itself.
func (i *Index) Spec() multicluster.Spec {
	watch := func(gr schema.GroupResource) multicluster.Watch {
		return multicluster.Watch{
			Resource: gr,
			Keys: func(ctx context.Context, event client.Event) ([]client.Key, error) {
				return nil, i.observe(ctx, gr, event)
			},
			Restarted: i.Restart,
		}
	}
	return multicluster.Spec{
		Name:      "names",
		Watches:   []multicluster.Watch{watch(Definitions), watch(Bindings)},
		Reconcile: func(context.Context, client.Key) (reconcile.Result, error) { return reconcile.Result{}, nil },
	}
}

// Feed queues the holders of resource when a name that they wait for is released. It is for the controller of the resource.
func (i *Index) Feed(resource schema.GroupResource) func(ctx context.Context, add func(key client.Key, after time.Duration)) {
	return func(ctx context.Context, add func(client.Key, time.Duration)) {
		i.mu.Lock()
		i.adders[resource] = add
		for holder := range i.early {
			if holder.Resource == resource {
				add(holder.Key, 0)
				delete(i.early, holder)
			}
		}
		i.mu.Unlock()
		<-ctx.Done()
		i.mu.Lock()
		delete(i.adders, resource)
		i.mu.Unlock()
	}
}

// Restart forgets all clusters, because events may have been missed, and queues all who wait there.
func (i *Index) Restart() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, c := range i.clusters {
		i.drop(name)
		i.queue(c.takeUndecided())
		i.queue(slices.Collect(maps.Keys(c.wanted)))
	}
}

// observe takes in one event.
func (i *Index) observe(ctx context.Context, gr schema.GroupResource, event client.Event) error {
	cluster := logicalcluster.From(event.Object)
	if cluster.IsSystem() {
		return nil
	}
	if i.keeps(cluster) {
		r, err := i.record(ctx, event.Object)
		if err != nil || i.take(event.Type, r) {
			return err
		}
		// It was dropped meanwhile.
	}
	revision, err := revisionOf(event.Object)
	if err != nil {
		return err
	}
	i.mu.Lock()
	i.seen[gr] = max(i.seen[gr], revision)
	i.mu.Unlock()
	if event.Type == client.Added {
		return nil // nobody needs to know, and nothing is released
	}
	return i.wakeAll(ctx, cluster)
}

// take takes in an event after which the record of its object is r. It reports whether the index has the cluster.
func (i *Index) take(event client.EventType, r *Record) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	holder := r.Holder
	c := i.clusters[holder.Key.Cluster]
	if c == nil {
		return false
	}
	i.seen[r.Resource] = max(i.seen[r.Resource], r.revision)
	old := c.records[holder]
	if old != nil && r.revision < old.revision {
		return true // the event is from before the cluster was read
	}
	i.change(c, func() {
		if event != client.Deleted {
			c.put(r)
		} else {
			c.remove(holder)
			c.wait(holder, nil)
		}
	})
	if !c.complete {
		if event == client.Deleted {
			c.gone[holder] = r.revision
		}
		c.released = c.released || event != client.Added
		return true
	}
	if old == nil {
		return true
	}
	var kept []slot
	if event != client.Deleted {
		kept = r.slots()
	}
	if released := slices.DeleteFunc(old.slots(), func(s slot) bool { return slices.Contains(kept, s) }); len(released) > 0 {
		i.queue(c.waitingFor(released))
		i.queue(c.takeUndecided())
	}
	if c.isEmpty() && !i.locks.held(holder.Key.Cluster) {
		i.drop(holder.Key.Cluster) // usually the workspace was deleted
	}
	return true
}

// wakeAll queues all who lack a name in a cluster that the index does not have. It reads the cluster, so that the next events there
// find out more; not from a cache, which may lack what was written before the index dropped the cluster.
func (i *Index) wakeAll(ctx context.Context, cluster logicalcluster.Name) error {
	c, err := i.in(ctx, i.config.Live, cluster)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.queue(c.takeUndecided())
	return nil
}
