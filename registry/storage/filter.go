package storage

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Filter narrows a list or watch of custom resources over all clusters to some of them. Each request has one of its own,
// which is asked by one goroutine at a time.
type Filter interface {
	// Shows reports whether a list holds what lies in namespace of cluster; namespace is empty for cluster-scoped objects.
	Shows(cluster logicalcluster.Name, namespace string) bool
	// Follows reports the same of an event of a watch; deleted says that the object is gone. An error ends the watch: it is for
	// the client, which must list anew when events alone cannot bring what it knows up to date.
	Follows(cluster logicalcluster.Name, namespace string, deleted bool) (bool, error)
}

type filterKey struct{}

// WithFilter returns a context in which lists and watches over all clusters show what filter lets pass, with the one
// resourceVersion of all. Requests for one cluster do not heed it.
func WithFilter(ctx context.Context, filter Filter) context.Context {
	return context.WithValue(ctx, filterKey{}, filter)
}

// filterFrom returns the filter of a request for at; nil for none.
func filterFrom(ctx context.Context, at place) Filter {
	if !at.wildcard() {
		return nil
	}
	filter, _ := ctx.Value(filterKey{}).(Filter)
	return filter
}
