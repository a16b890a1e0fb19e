package garbage

import (
	"strings"
	"sync"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// graph is what is known of objects with owners. Nothing in it refers to another cluster: a UID means an object of its own cluster only.
type graph struct {
	mu       sync.Mutex
	clusters map[logicalcluster.Name]*cluster // without those that hold nothing
	// rounds counts how often a source has begun, by its name.
	rounds map[string]uint32
	// shown is whether all sources have shown what exists. Before that, nothing makes work.
	shown bool
}

// cluster is the graph of one cluster.
type cluster struct {
	objects map[types.UID]*object
	named   map[ownerID]*owner
	owners  map[types.UID]*owners
	// ending are the objects whose finalizers of ours may be removed.
	ending map[types.UID]struct{}
	// searched is how many objects were looked at since searchBegan to find owners in other namespaces.
	searched    int
	searchBegan time.Time
}

// owners are all that references with one UID may mean: normally one, but nothing keeps references from disagreeing.
type owners struct {
	first *owner
	// blocking is how many references hold up its deletion in the foreground. An object does not hold up itself.
	blocking int
}

// object is an object that has owners, or that is being deleted and has one of the two finalizers.
type object struct {
	kind            unique.Handle[client.Kind] // its scope is not set
	namespace, name string
	uid             types.UID
	refs            []ref
	// foreground is whether it is being deleted and waits for its dependents; orphans, whether they are to be orphaned.
	foreground, orphans bool
	// deleting is whether it is being deleted in any way.
	deleting bool
	// source and round say which list it was in last.
	source string
	round  uint32
}

// ref is an owner reference of an object.
type ref struct {
	to     *owner
	blocks bool
}

// ownerID is how references of objects in one namespace call an owner. Namespace is empty for those of cluster-scoped objects.
type ownerID struct {
	apiVersion, kind, name string
	uid                    types.UID
	namespace              string
}

// owner is an owner that objects name. It need not exist.
type owner struct {
	ownerID
	state state
	// dependents has how often each object names it.
	dependents map[*object]int
	next, prev *owner // of the same UID
}

// state is what is known of an owner.
type state int

const (
	// unknown is for owners that were not looked for yet, and for those whose kind the cluster does not serve.
	unknown state = iota
	present
	absent
	// invalid is for kinds in namespaces, as owners of objects that are in none.
	invalid
)

func newGraph() *graph {
	return &graph{clusters: map[logicalcluster.Name]*cluster{}, rounds: map[string]uint32{}}
}

// in returns the graph of a cluster, for writing.
func (g *graph) in(name logicalcluster.Name) *cluster {
	c := g.clusters[name]
	if c == nil {
		c = &cluster{
			objects: map[types.UID]*object{}, named: map[ownerID]*owner{}, owners: map[types.UID]*owners{}, ending: map[types.UID]struct{}{},
		}
		g.clusters[logicalcluster.Name(strings.Clone(string(name)))] = c
	}
	return c
}

// tidy forgets a cluster that holds nothing.
func (g *graph) tidy(name logicalcluster.Name, c *cluster) {
	if len(c.objects) == 0 && len(c.owners) == 0 {
		delete(g.clusters, name)
	}
}

// idOf returns how an object in a namespace calls the owner of a reference.
func idOf(r metav1.OwnerReference, namespace string) ownerID {
	return ownerID{apiVersion: r.APIVersion, kind: r.Kind, name: r.Name, uid: r.UID, namespace: namespace}
}

// link makes the owners of o known to the graph, and returns those that are new to it.
func (c *cluster) link(o *object, references []metav1.OwnerReference) (added []*owner) {
	o.refs = make([]ref, 0, len(references))
	for _, r := range references {
		n := idOf(r, o.namespace)
		to := c.named[n]
		if to == nil {
			to = c.add(n.clone())
			added = append(added, to)
		}
		blocks := r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion && r.UID != o.uid
		o.refs = append(o.refs, ref{to: to, blocks: blocks})
		to.dependents[o]++
		if blocks {
			c.owners[to.uid].blocking++
		}
	}
	return added
}

// add makes an owner known to the graph.
func (c *cluster) add(n ownerID) *owner {
	to := &owner{ownerID: n, dependents: map[*object]int{}}
	c.named[n] = to
	all := c.owners[n.uid]
	if all == nil {
		all = &owners{}
		c.owners[n.uid] = all
	}
	if to.next = all.first; to.next != nil {
		to.next.prev = to
	}
	all.first = to
	return to
}

// unlink takes refs, which were those of o, out of the graph.
func (c *cluster) unlink(o *object, refs []ref) {
	for _, r := range refs {
		if r.blocks {
			c.owners[r.to.uid].blocking--
		}
		if r.to.dependents[o]--; r.to.dependents[o] == 0 {
			delete(r.to.dependents, o)
		}
		if len(r.to.dependents) == 0 {
			c.remove(r.to)
		}
	}
}

// remove forgets an owner.
func (c *cluster) remove(o *owner) {
	delete(c.named, o.ownerID)
	all := c.owners[o.uid]
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		all.first = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	if all.first == nil {
		delete(c.owners, o.uid)
	}
}

// dependents calls do with each object that names uid, once for each name that it has for it.
func (c *cluster) dependents(uid types.UID, do func(*owner, *object)) {
	all := c.owners[uid]
	if all == nil {
		return
	}
	for o := all.first; o != nil; o = o.next {
		for dependent := range o.dependents {
			do(o, dependent)
		}
	}
}

// blocked reports whether dependents hold up the deletion of uid in the foreground.
func (c *cluster) blocked(uid types.UID) bool {
	all := c.owners[uid]
	return all != nil && all.blocking > 0
}

// foreground reports whether uid is being deleted in the foreground.
func (c *cluster) foreground(uid types.UID) bool {
	o := c.objects[uid]
	return o != nil && o.foreground
}

// clone returns n without memory that it shares with others.
func (n ownerID) clone() ownerID {
	return ownerID{
		apiVersion: strings.Clone(n.apiVersion), kind: strings.Clone(n.kind), name: strings.Clone(n.name),
		uid: types.UID(strings.Clone(string(n.uid))), namespace: strings.Clone(n.namespace),
	}
}
