package virtual

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// APIExport is the kind of the endpoint through which the provider of an API works on all of its consumers.
const APIExport = "apiexport"

// HostBinding is the kind of the endpoint through which a host cluster shows what a HostBinding projects. It has no URL below
// /services/: requests come in without a prefix.
const HostBinding = "hostbinding"

// Endpoint names one virtual endpoint, for example {apiexport, 2f8kq1z0c7a9x3bd, widgets.example.com}.
type Endpoint struct {
	// Kind is [APIExport], which is also the first segment behind /services/, or [HostBinding].
	Kind string
	// Cluster is where the object that the endpoint belongs to lives; it need not exist.
	Cluster logicalcluster.Name
	// Name is the object's name.
	Name string
}

type endpointKey struct{}

// WithEndpoint returns a context for a request to endpoint.
func WithEndpoint(ctx context.Context, endpoint Endpoint) context.Context {
	return context.WithValue(ctx, endpointKey{}, endpoint)
}

// WithoutEndpoint returns a context that is for the cluster in it alone.
func WithoutEndpoint(ctx context.Context) context.Context {
	return context.WithValue(ctx, endpointKey{}, nil)
}

// FromContext returns the virtual endpoint that ctx is for; false when it is for none.
func FromContext(ctx context.Context) (Endpoint, bool) {
	endpoint, ok := ctx.Value(endpointKey{}).(Endpoint)
	return endpoint, ok
}
