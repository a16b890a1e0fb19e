package garbage

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// verdict is what the graph says about the owners of an object.
type verdict struct {
	// decided is false if something is not known yet. Whatever tells it makes work again.
	decided bool
	// solid owners stay. Those of dangling references are gone; those of waiting ones are being deleted in the foreground.
	solid, dangling, waiting []metav1.OwnerReference
	// owner is whether it has dependents itself, and cycle whether one of those is being deleted in the foreground.
	owner, cycle bool
}

// locate returns the kind and the key of an object; false if the graph does not have it or it is being deleted.
func (g *graph) locate(name logicalcluster.Name, uid types.UID) (client.Kind, client.Key, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[name]
	if c == nil {
		return client.Kind{}, client.Key{}, false
	}
	o := c.objects[uid]
	if o == nil || o.deleting {
		return client.Kind{}, client.Key{}, false
	}
	return o.kind.Value(), client.Key{Cluster: name, Namespace: o.namespace, Name: o.name}, true
}

// judge says what the graph knows about the owners of an object in the state of h.
func (g *graph) judge(h *client.Head) verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := verdict{}
	c := g.clusters[h.Cluster]
	references := referencesOf(h)
	if c == nil || len(references) == 0 {
		return v
	}
	for _, r := range references {
		o := c.named[idOf(r, h.Namespace)]
		switch {
		case o == nil || o.state == unknown || o.state == invalid:
			return v
		case o.state == absent:
			v.dangling = append(v.dangling, r)
		case c.foreground(r.UID):
			v.waiting = append(v.waiting, r)
		default:
			v.solid = append(v.solid, r)
		}
	}
	v.decided = true
	c.dependents(h.UID, func(_ *owner, dependent *object) {
		v.owner = true
		v.cycle = v.cycle || dependent.foreground
	})
	return v
}

// examine does what the owners of one object ask for.
func (c *collector) examine(ctx context.Context, cluster logicalcluster.Name, uid types.UID) error {
	kind, key, ok := c.graph.locate(cluster, uid)
	if !ok {
		return nil
	}
	h, err := c.content.Find(ctx, kind, key, false)
	if err != nil {
		return fmt.Errorf("reading %s %q: %w", kind.Resource, key.Name, err)
	}
	if h == nil || h.UID != uid || h.DeletionTimestamp != nil {
		return nil // its event follows
	}
	v := c.graph.judge(h)
	gone := slices.Concat(v.dangling, v.waiting)
	switch {
	case !v.decided || len(gone) == 0:
		return nil
	case len(v.solid) > 0:
		return ignoreGone("removing owners that are gone from", h, c.content.Update(ctx, *h, func(obj client.Object) { disown(obj, gone) }))
	case len(v.waiting) > 0 && v.owner:
		if v.cycle {
			// They would wait for each other.
			if err := ignoreGone("unblocking the owners of", h, c.content.Update(ctx, *h, unblock)); err != nil {
				return err
			}
			if h, err = c.content.Find(ctx, kind, key, true); err != nil || h == nil || h.UID != uid {
				return err
			}
		}
		return c.delete(ctx, h, metav1.DeletePropagationForeground)
	}
	policy := metav1.DeletePropagationBackground
	switch {
	case slices.Contains(h.Finalizers, metav1.FinalizerOrphanDependents):
		policy = metav1.DeletePropagationOrphan
	case slices.Contains(h.Finalizers, metav1.FinalizerDeleteDependents):
		policy = metav1.DeletePropagationForeground
	}
	return c.delete(ctx, h, policy)
}

// delete deletes the object of h unless it has changed.
func (c *collector) delete(ctx context.Context, h *client.Head, policy metav1.DeletionPropagation) error {
	return ignoreGone("deleting", h, c.content.Delete(ctx, *h, &metav1.DeleteOptions{
		PropagationPolicy: &policy,
		Preconditions:     &metav1.Preconditions{UID: &h.UID, ResourceVersion: &h.ResourceVersion},
	}))
}

// disown removes owner references from an object.
func disown(obj client.Object, gone []metav1.OwnerReference) {
	obj.SetOwnerReferences(slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(r metav1.OwnerReference) bool {
		return slices.ContainsFunc(gone, func(g metav1.OwnerReference) bool { return idOf(g, "") == idOf(r, "") })
	}))
}

// unblock makes an object hold up the deletion of no owner.
func unblock(obj client.Object) {
	references := slices.Clone(obj.GetOwnerReferences())
	for i := range references {
		references[i].BlockOwnerDeletion = new(bool)
	}
	obj.SetOwnerReferences(references)
}
