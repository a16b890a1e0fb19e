package garbage

import (
	"slices"
	"strings"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// What the namespace of a key says is to be done. A key with none is about the ending objects of a cluster.
const (
	toExamine = "object" // the name of the key is a UID
	toCheck   = "owner"  // the name of the key is that of keyName
)

var (
	events      = schema.GroupResource{Resource: "events"}
	definitions = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
	bindings    = schema.GroupResource{Group: "apis.kcp.io", Resource: "apibindings"}
	// clusters are the LogicalClusters.
	clusters = schema.GroupResource{Group: "core.kcp.io", Resource: "logicalclusters"}
)

// referencesOf returns the owner references of the object of h. Those of a LogicalCluster count for nothing: its workspace owns it, and users
// who may change it but not delete it must not have it deleted by us.
func referencesOf(h *client.Head) []metav1.OwnerReference {
	if h.Resource == clusters && h.Bucket == "" {
		return nil
	}
	return h.OwnerReferences
}

// work collects what an event makes to do.
type work struct {
	cluster logicalcluster.Name
	keys    []client.Key
}

func (w *work) examine(o *object) {
	w.keys = append(w.keys, client.Key{Cluster: w.cluster, Namespace: toExamine, Name: string(o.uid)})
}

func (w *work) check(o *owner) {
	w.keys = append(w.keys, client.Key{Cluster: w.cluster, Namespace: toCheck, Name: o.keyName()})
}

func (w *work) end() { w.keys = append(w.keys, client.Key{Cluster: w.cluster}) }

// nameSeparator separates the parts of a name. A reference that contains it is never found again, and so is left alone.
const nameSeparator = "\x00"

// keyName returns the name as that of a key.
func (n ownerID) keyName() string {
	return strings.Join([]string{n.apiVersion, n.kind, n.name, string(n.uid), n.namespace}, nameSeparator)
}

// parseKeyName reads what keyName returned.
func parseKeyName(s string) (ownerID, bool) {
	parts := strings.Split(s, nameSeparator)
	if len(parts) != 5 {
		return ownerID{}, false
	}
	return ownerID{apiVersion: parts[0], kind: parts[1], name: parts[2], uid: types.UID(parts[3]), namespace: parts[4]}, true
}

// ends returns which of the two deletions with finalizers the object of h is in.
func ends(h client.Head) (foreground, orphans bool) {
	if h.DeletionTimestamp == nil {
		return false, false
	}
	return slices.Contains(h.Finalizers, metav1.FinalizerDeleteDependents), slices.Contains(h.Finalizers, metav1.FinalizerOrphanDependents)
}

// isTracked reports whether the graph keeps the object of h.
func isTracked(h client.Head) bool {
	foreground, orphans := ends(h)
	return len(referencesOf(&h)) > 0 || foreground || orphans
}

// handle takes in an event and returns what it makes to do.
func (g *graph) handle(event client.HeadEvent) []client.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case event.Type == client.Reset:
		g.rounds[event.Source]++
		return nil
	case event.Type == client.Synced && event.Source == "":
		g.shown = true
		return g.everything()
	case event.Type == client.Synced:
		keys := g.sweep(event.Source)
		if !g.shown {
			return nil
		}
		// Lists do not have owners without owners, nor what says which kinds a cluster serves.
		return append(keys, g.everything()...)
	}
	h := event.Head
	c := g.clusters[h.Cluster]
	if c == nil && (event.Type == client.Deleted || !isTracked(h)) {
		return nil
	}
	c = g.in(h.Cluster)
	w := &work{cluster: h.Cluster}
	switch {
	case h.Damaged:
		c.damaged(h, w)
	case event.Type == client.Deleted:
		c.deleted(h.UID, w)
	default:
		c.observe(h, event.Source, g.rounds[event.Source], w)
	}
	if h.Bucket == "" && (h.Resource == definitions || h.Resource == bindings) {
		c.recheck(w, unknown) // the cluster may serve other kinds now
	}
	g.tidy(h.Cluster, c)
	if !g.shown {
		return nil
	}
	return w.keys
}

// observe takes in an object as it is now.
func (c *cluster) observe(h client.Head, source string, round uint32, w *work) {
	o := c.objects[h.UID]
	if o == nil {
		if !isTracked(h) {
			return
		}
		o = &object{
			kind:      unique.Make(client.Kind{Resource: h.Resource, Bucket: h.Bucket}),
			namespace: strings.Clone(h.Namespace), name: strings.Clone(h.Name), uid: types.UID(strings.Clone(string(h.UID))),
		}
		c.objects[o.uid] = o
	}
	before := *o
	o.source, o.round = source, round
	o.deleting = h.DeletionTimestamp != nil
	o.foreground, o.orphans = ends(h)
	references := referencesOf(&h)
	if !slices.EqualFunc(o.refs, references, func(r ref, to metav1.OwnerReference) bool {
		blocks := to.BlockOwnerDeletion != nil && *to.BlockOwnerDeletion && to.UID != o.uid
		return r.to.ownerID == idOf(to, o.namespace) && r.blocks == blocks
	}) {
		for _, added := range c.link(o, references) {
			w.check(added)
		}
		c.unlink(o, before.refs)
		c.unblocked(before.refs, w)
		if c.examinable(o) {
			w.examine(o)
		}
	}
	if o.foreground && !before.foreground {
		c.dependents(o.uid, func(_ *owner, dependent *object) { w.examine(dependent) })
	}
	if o.foreground && !before.foreground || o.orphans && !before.orphans {
		c.end(o.uid, w)
	}
	if !isTracked(h) {
		delete(c.objects, o.uid)
		delete(c.ending, o.uid)
	}
}

// examinable reports whether something may have to be done with o.
func (c *cluster) examinable(o *object) bool {
	return !o.deleting && slices.ContainsFunc(o.refs, func(r ref) bool { return r.to.state == absent || c.foreground(r.to.uid) })
}

// deleted takes in that an object is gone.
func (c *cluster) deleted(uid types.UID, w *work) {
	if o := c.objects[uid]; o != nil {
		delete(c.objects, uid)
		delete(c.ending, uid)
		c.unlink(o, o.refs)
		c.unblocked(o.refs, w)
	}
	if all := c.owners[uid]; all != nil {
		for o := all.first; o != nil; o = o.next {
			o.state = absent
		}
		c.dependents(uid, func(_ *owner, dependent *object) { w.examine(dependent) })
	}
}

// damaged takes in that the object with the key of h cannot be read any more. Nothing is known of its owners, so it has none.
func (c *cluster) damaged(h client.Head, w *work) {
	for _, o := range c.objects {
		if k := o.kind.Value(); k.Resource == h.Resource && k.Bucket == h.Bucket && o.namespace == h.Namespace && o.name == h.Name {
			delete(c.objects, o.uid)
			delete(c.ending, o.uid)
			c.unlink(o, o.refs)
			c.unblocked(o.refs, w)
			return
		}
	}
}

// unblocked sees to the owners that refs, which no longer exist, may have held up.
func (c *cluster) unblocked(refs []ref, w *work) {
	for _, r := range refs {
		if r.blocks && c.foreground(r.to.uid) {
			c.end(r.to.uid, w)
		}
	}
}

// end makes an object be looked at whose finalizers of ours may be removed, unless it is known to wait for dependents.
func (c *cluster) end(uid types.UID, w *work) {
	o := c.objects[uid]
	if o == nil || !o.orphans && (!o.foreground || c.blocked(uid)) {
		return
	}
	c.ending[o.uid] = struct{}{}
	w.end()
}

// recheck makes the owners be looked for that are in one of the states.
func (c *cluster) recheck(w *work, states ...state) {
	for _, o := range c.named {
		if slices.Contains(states, o.state) {
			o.state = unknown
			w.check(o)
		}
	}
}

// sweep forgets what a source has not shown since it began anew, and returns what that makes to do.
func (g *graph) sweep(source string) []client.Key {
	var keys []client.Key
	for name, c := range g.clusters {
		w := &work{cluster: name}
		for uid, o := range c.objects {
			if o.source == source && o.round != g.rounds[source] {
				c.deleted(uid, w)
			}
		}
		g.tidy(name, c)
		keys = append(keys, w.keys...)
	}
	return keys
}

// everything returns what there may be to do with all that the graph has.
func (g *graph) everything() []client.Key {
	var keys []client.Key
	for name, c := range g.clusters {
		w := &work{cluster: name}
		c.recheck(w, unknown, present)
		for uid, o := range c.objects {
			if c.examinable(o) {
				w.examine(o)
			}
			if o.foreground || o.orphans {
				c.end(uid, w)
			}
		}
		keys = append(keys, w.keys...)
	}
	return keys
}
