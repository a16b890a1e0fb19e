package serve

import (
	"context"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
)

// Target is what an authorized request for objects is served from. The zero value is refused.
type Target struct {
	// Cluster is the one cluster of the request. It is empty if All is set: then lists and watches cover all clusters.
	Cluster logicalcluster.Name
	All     bool

	// Resource is what is served: a custom resource, or one of the process's own container if it is Typed.
	Resource *catalog.Resource
	// Owner is the object by which Cluster serves Resource. What the request creates belongs to it: without it, storage refuses to create
	// objects of a Resource that a cluster defines or binds.
	Owner storage.Owner
	// Handler serves the request instead of the handler of Resource. It is set for what the process serves in every cluster, and
	// for what a virtual workspace answers by itself.
	Handler http.Handler
	// Filter narrows what the request can reach, for reads and writes; nil for no filter. It is refused where storage does not ask it.
	Filter storage.Filter

	// Context adds to the context of the request what storage and admission have to know of it; nil for nothing.
	Context func(ctx context.Context) context.Context

	// Workspace returns what users see of a cluster in which they see an object of All clusters: its path, or its name if they must not
	// know the path. Tables then have one more column; nil for none.
	Workspace func(cluster logicalcluster.Name) string

	// Cataloged says that Resource is what the catalog holds for Cluster. A watch ends when the catalog holds something else.
	Cataloged bool
	// While is the condition of a virtual workspace under which a watch goes on; the zero value for none. A watch of a Resource that
	// neither is Cataloged nor has a condition is refused.
	While Condition
	// Covers is the condition under which the request covers the same objects as when it came; the zero value for none. When it becomes
	// false a watch ends with 410: the client must list anew, because it gets no events for what came into sight or went out of it.
	Covers Condition
}

// AllClusters stands in a Condition for what a change in any cluster can make false. No cluster has this name.
const AllClusters = logicalcluster.Name(logicalcluster.Wildcard)

// Condition is what must stay true while a watch is open.
type Condition struct {
	// Cluster is where a change can make it false: code that learns of one calls Watches.Recheck. It may be AllClusters.
	Cluster logicalcluster.Name
	// Holds reports whether the condition is true now. It may be called by several goroutines, and must return when ctx ends.
	Holds func(ctx context.Context) bool
}

// Catalog says what a cluster serves.
type Catalog interface {
	// For returns what the cluster serves as far as the watch caches know.
	For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	// Refresh looks again, past the watch caches, before something is said not to exist.
	Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
}

// Lookup returns what cluster serves as gr, looking a second time, past the watch caches, before it says that there is nothing:
// nil. Something that accept does not want counts as nothing. A nil accept wants everything.
func Lookup(ctx context.Context, from Catalog, cluster logicalcluster.Name, gr schema.GroupResource, accept func(*catalog.Resource) bool) (*catalog.Served, error) {
	for _, snapshot := range []func(context.Context, logicalcluster.Name) (*catalog.Snapshot, error){from.For, from.Refresh} {
		found, err := snapshot(ctx, cluster)
		if err != nil {
			return nil, fmt.Errorf("finding what is served: %w", err)
		}
		if served, ok := found.Served(gr); ok && (accept == nil || accept(served.Resource)) {
			return served, nil
		}
	}
	return nil, nil
}

// context returns ctx as storage expects it for the target. It is an error to name no cluster, or to name one and all at once.
func (t Target) context(ctx context.Context) (context.Context, error) {
	switch {
	case t.All == !t.Cluster.Empty():
		return nil, apistatus.Internal(fmt.Errorf("the target of a request must be one cluster or all: %q, all: %t", t.Cluster, t.All))
	case t.All:
		ctx = logicalcluster.WithWildcard(ctx)
	default:
		ctx = logicalcluster.WithCluster(ctx, t.Cluster)
	}
	if t.Resource != nil && !t.Resource.Typed {
		ctx = storage.WithBucket(ctx, t.Resource.Bucket)
	}
	if t.Owner != (storage.Owner{}) {
		ctx = storage.WithOwner(ctx, t.Owner)
	}
	if t.Filter != nil {
		ctx = storage.WithFilter(ctx, t.Filter)
	}
	if t.Context != nil {
		ctx = t.Context(ctx)
	}
	return ctx, nil
}
