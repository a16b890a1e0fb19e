package garbage

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// How many objects are looked at in a cluster, and in which time, to find an owner in another namespace. That is only for an Event.
const (
	searchInterval = time.Second
	searchBudget   = 10000
)

// isUnknown reports whether an owner is to be looked for.
func (g *graph) isUnknown(cluster logicalcluster.Name, n ownerID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[cluster]
	if c == nil {
		return false
	}
	o := c.named[n]
	return o != nil && o.state == unknown
}

// decide takes in what was found out about an owner, unless its deletion was seen meanwhile. It returns what that makes to do.
func (g *graph) decide(name logicalcluster.Name, n ownerID, is state) []client.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[name]
	if c == nil {
		return nil
	}
	o := c.named[n]
	if o == nil || o.state != unknown {
		return nil
	}
	o.state = is
	w := &work{cluster: name}
	for dependent := range o.dependents {
		if c.examinable(dependent) {
			w.examine(dependent)
		}
	}
	return w.keys
}

// check finds out whether an owner is there.
func (c *collector) check(ctx context.Context, cluster logicalcluster.Name, n ownerID) error {
	if !c.graph.isUnknown(cluster, n) {
		return nil
	}
	is, kind, err := c.look(ctx, cluster, n)
	if err != nil {
		return fmt.Errorf("looking for the owner %s %q: %w", n.kind, n.name, err)
	}
	if is == unknown {
		return nil // until the cluster serves other kinds
	}
	elsewhere := is == invalid
	if is == absent && kind.Namespaced && c.graph.maySearch(cluster, c.now()) {
		if elsewhere, err = c.isElsewhere(ctx, cluster, *kind, n); err != nil {
			return err
		}
	}
	if elsewhere {
		c.report(ctx, cluster, n)
	}
	c.add(c.graph.decide(cluster, n, is))
	return nil
}

// look returns what is known of an owner, and its kind.
func (c *collector) look(ctx context.Context, cluster logicalcluster.Name, n ownerID) (state, *client.Kind, error) {
	gv, err := schema.ParseGroupVersion(n.apiVersion)
	if err != nil {
		return unknown, nil, nil // no cluster serves that
	}
	kind, err := c.content.KindOf(ctx, cluster, gv.WithKind(n.kind))
	if err != nil || kind == nil {
		return unknown, nil, err
	}
	key := client.Key{Cluster: cluster, Namespace: n.namespace, Name: n.name}
	switch {
	case !kind.Namespaced:
		key.Namespace = ""
	case key.Namespace == "":
		return invalid, kind, nil
	}
	for _, now := range []bool{false, true} {
		h, err := c.content.Find(ctx, *kind, key, now)
		if err != nil {
			return unknown, nil, err
		}
		if h != nil && h.UID == n.uid {
			return present, kind, nil
		}
	}
	return absent, kind, nil
}

// maySearch reports whether an owner may be searched for in all namespaces of a cluster.
func (g *graph) maySearch(name logicalcluster.Name, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[name]
	if c == nil {
		return false
	}
	if now.Sub(c.searchBegan) >= searchInterval {
		c.searchBegan, c.searched = now, 0
	}
	return c.searched < searchBudget
}

// hasSearched notes that objects were looked at.
func (g *graph) hasSearched(name logicalcluster.Name, objects int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.clusters[name]; c != nil {
		c.searched += objects
	}
}

// isElsewhere reports whether an owner is in another namespace than its dependents.
func (c *collector) isElsewhere(ctx context.Context, cluster logicalcluster.Name, kind client.Kind, n ownerID) (bool, error) {
	all, err := c.content.List(ctx, client.ContentScope{Cluster: cluster, Wanted: func(resource schema.GroupResource, bucket string) bool {
		return resource == kind.Resource && bucket == kind.Bucket
	}})
	if err != nil {
		return false, fmt.Errorf("searching for the owner %s %q: %w", n.kind, n.name, err)
	}
	c.graph.hasSearched(cluster, len(all))
	for _, h := range all {
		if h.UID == n.uid && h.Namespace != n.namespace {
			return true, nil
		}
	}
	return false, nil
}
