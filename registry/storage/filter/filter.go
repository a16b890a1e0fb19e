package filter

import (
	"context"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Filter decides which objects a request concerns. It must not read what it needs for that from storage: whoever makes it
// has done so before. It is asked by one goroutine at a time, except by the deletion of a collection.
type Filter interface {
	// Shows reports whether the object with this head exists for the request. Only its head may matter.
	Shows(h head.Head) bool
}

// Follower is a Filter that decides by cluster and namespace alone. A watch need not remember what it has shown then; in
// return, the answer may change with time, and the filter keeps track of what the client knows.
type Follower interface {
	Filter
	// Follows reports whether a watch sends an event of the object; deleted says that the object is gone. An error ends the
	// watch: it is for the client, which must list anew when events alone cannot bring what it knows up to date.
	Follows(h head.Head, deleted bool) (bool, error)
}

// Turning is a Filter whose answer about all objects of a cluster can change at once, without an event of these objects. A watch sends then
// what comes into sight and deletes what leaves it, in the state in which the client could have seen it. The other way round, the filter
// must refuse watches that begin at a resourceVersion from before such a change.
type Turning interface {
	Filter
	// Turns receives a value after each change. Only one watch may receive from it.
	Turns() <-chan struct{}
	// Turned returns the clusters about whose objects the answer may have changed since the last call.
	Turned() []logicalcluster.Name
}

// Selecting is a Filter that decides by labels alone. The watch caches select by them as for a label selector of the client: a list decodes, and
// a watch remembers, nothing but what it shows.
type Selecting interface {
	Filter
	// Selector selects what Shows is true for. It never changes.
	Selector() labels.Selector
}

type contextKey struct{}

// With returns a context in which every request to storage is narrowed to what filter shows, in one cluster as well as over
// all. With nil, nothing is narrowed: it is for what the server reads and writes on its own account while it answers a
// narrowed request.
func With(ctx context.Context, filter Filter) context.Context {
	return context.WithValue(ctx, contextKey{}, filter)
}
