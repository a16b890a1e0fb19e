package virtual

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Endpoint names one virtual endpoint, for example {apiexport, 2f8kq1z0c7a9x3bd, widgets.example.com}.
type Endpoint struct {
	// Kind is the name of the virtual workspace.
	Kind string
	// Cluster is where the object that the endpoint belongs to lives; it need not exist. If a virtual workspace parses a URL and leaves it
	// empty, it is the cluster that the request is for. Requests use its share of the server,
	// and it decides, by its RBAC, who may impersonate whom. Nobody passes while it, or a cluster that the request is for, is
	// switched off.
	Cluster logicalcluster.Name
	// Name is the object's name.
	Name string
	// Direct says that a request for one cluster counts as one that was sent to that cluster: it uses the share of that
	// cluster, and the virtual workspace alone decides about it, impersonation and clusters that are switched off included.
	Direct bool
	// Workspace says that clients address it as a workspace: whoever is refused learns as much as where there is none. Nobody is
	// impersonated there.
	Workspace bool
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
