package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// ownersAtOnce is how many owners of a cluster are finalized after one list, before other clusters have their turn.
	ownersAtOnce = 256
	// orphansAtOnce is how many dependents one owner loses after one list.
	orphansAtOnce = 256
	// writesAtOnce is how many writes are in flight for a cluster that is finalized.
	writesAtOnce = 8
)

// takeEnding returns some of the objects whose finalizers may be removed, and whether there are others.
func (g *graph) takeEnding(name logicalcluster.Name) (taken []types.UID, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[name]
	if c == nil {
		return nil, false
	}
	for uid := range c.ending {
		if len(taken) == ownersAtOnce {
			return taken, true
		}
		taken = append(taken, uid)
		delete(c.ending, uid)
	}
	return taken, false
}

// putBack has objects looked at again, if they are still there.
func (g *graph) putBack(name logicalcluster.Name, uids ...types.UID) []client.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[name]
	if c == nil {
		return nil
	}
	w := &work{cluster: name}
	for _, uid := range uids {
		c.end(uid, w)
	}
	return w.keys
}

// finalize removes the finalizers of ours in a cluster that nothing needs any more.
func (c *collector) finalize(ctx context.Context, cluster logicalcluster.Name) error {
	uids, more := c.graph.takeEnding(cluster)
	if len(uids) == 0 {
		return nil
	}
	all, err := c.content.List(ctx, client.ContentScope{Cluster: cluster})
	if err != nil {
		c.graph.putBack(cluster, uids...)
		return fmt.Errorf("listing dependents: %w", err)
	}
	owners, dependents := map[types.UID]*client.Head{}, map[types.UID][]*client.Head{}
	for _, uid := range uids {
		owners[uid] = nil
	}
	for i := range all {
		h := &all[i]
		if _, taken := owners[h.UID]; taken {
			owners[h.UID] = h
		}
		for _, r := range referencesOf(h) {
			if _, taken := owners[r.UID]; taken && r.UID != h.UID {
				dependents[r.UID] = append(dependents[r.UID], h)
			}
		}
	}
	var group errgroup.Group
	group.SetLimit(writesAtOnce)
	errs, again := make([]error, len(uids)), make([]bool, len(uids))
	for i, uid := range uids {
		group.Go(func() error {
			again[i], errs[i] = c.finalizeOne(ctx, owners[uid], dependents[uid])
			return nil
		})
	}
	_ = group.Wait() // errors are gathered above
	var failed, refused []error
	for i, uid := range uids {
		switch {
		case isRefusal(errs[i]):
			refused = append(refused, errs[i])
			c.graph.putBack(cluster, uid) // the error has the key tried again, at the latest
		case errs[i] != nil:
			failed = append(failed, errs[i])
			c.graph.putBack(cluster, uid)
		case again[i]:
			c.add(c.graph.putBack(cluster, uid))
		}
	}
	if more {
		c.add([]client.Key{{Cluster: cluster}})
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return errors.Join(refused...)
}

// finalizeOne does what one owner, nil if it is gone, needs before its finalizer is removed. It reports whether there is more to do that no
// event will tell of.
func (c *collector) finalizeOne(ctx context.Context, h *client.Head, dependents []*client.Head) (again bool, err error) {
	if h == nil {
		return false, nil
	}
	foreground, orphans := ends(*h)
	switch {
	case orphans && len(dependents) > 0:
		if again = len(dependents) > orphansAtOnce; again {
			dependents = dependents[:orphansAtOnce]
		}
		if err := c.orphan(ctx, h, dependents); err != nil || again {
			return again, err
		}
		return false, c.release(ctx, h, metav1.FinalizerOrphanDependents)
	case orphans:
		return false, c.release(ctx, h, metav1.FinalizerOrphanDependents)
	case !foreground || slices.ContainsFunc(dependents, func(d *client.Head) bool { return blocks(d, h.UID) }):
		return false, nil // the graph is behind, or ahead, and its next event makes work
	}
	return false, c.release(ctx, h, metav1.FinalizerDeleteDependents)
}

// blocks reports whether h holds up the deletion of uid in the foreground.
func blocks(h *client.Head, uid types.UID) bool {
	return slices.ContainsFunc(h.OwnerReferences, func(r metav1.OwnerReference) bool {
		return r.UID == uid && r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion
	})
}

// orphan removes the references to h from dependents.
func (c *collector) orphan(ctx context.Context, h *client.Head, dependents []*client.Head) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writesAtOnce)
	for _, d := range dependents {
		group.Go(func() error {
			return ignoreGone("orphaning", d, c.content.Update(ctx, *d, func(obj client.Object) {
				obj.SetOwnerReferences(slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(r metav1.OwnerReference) bool { return r.UID == h.UID }))
			}))
		})
	}
	return group.Wait()
}

// release removes a finalizer from h.
func (c *collector) release(ctx context.Context, h *client.Head, finalizer string) error {
	return ignoreGone("removing the finalizer of", h, c.content.Update(ctx, *h, func(obj client.Object) {
		obj.SetFinalizers(slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return f == finalizer }))
	}))
}
