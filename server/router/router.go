package router

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/rbac/policy"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/virtual"
)

// Catalog says what a cluster serves.
type Catalog interface {
	// For returns what the cluster serves as far as the watch caches know.
	For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	// Refresh looks again, past the watch caches, before something is said not to exist.
	Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	// Hold returns a context that ends when the cluster no longer serves resource as it is.
	Hold(ctx context.Context, cluster logicalcluster.Name, resource *catalog.Resource) (context.Context, context.CancelFunc)
}

// Clusters knows which clusters are switched off.
type Clusters interface {
	// Hold returns a context that ends when the cluster is switched off.
	Hold(ctx context.Context, cluster logicalcluster.Name) (context.Context, context.CancelFunc)
}

// Schemas gives the handler that serves a custom resource, whatever the cluster.
type Schemas interface {
	For(resource *catalog.Resource) (http.Handler, error)
}

// Discovery gives the handler that serves discovery and OpenAPI for a snapshot.
type Discovery interface {
	Handler(snapshot *catalog.Snapshot) http.Handler
}

// Config is what the router needs.
type Config struct {
	Catalog   Catalog
	Clusters  Clusters
	Schemas   Schemas
	Discovery Discovery
	// Virtual serves requests for virtual endpoints.
	Virtual http.Handler
	// Base reports whether the process itself serves the resource in every cluster.
	Base func(schema.GroupResource) bool
	// Codecs encode errors.
	Codecs runtime.NegotiatedSerializer
}

// Router serves requests that are authenticated and authorized.
type Router struct {
	*Config
	base http.Handler
}

// New returns a router before base, the handler of the process's own API groups. What c points to may be filled in until
// the first request: the stock server asks for its chain before it has installed what discovery shows.
func New(base http.Handler, c *Config) *Router {
	return &Router{Config: c, base: base}
}

// ServeHTTP implements http.Handler.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok {
		r.fail(w, req, apierrors.NewInternalError(fmt.Errorf("the request has no RequestInfo")))
		return
	}
	if _, ok := virtual.FromContext(ctx); ok {
		r.Virtual.ServeHTTP(w, req)
		return
	}
	if logicalcluster.IsWildcard(ctx) {
		r.wildcard(w, req, info)
		return
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	switch {
	case !ok:
		r.process(w, req)
	case info.IsResourceRequest:
		r.resource(w, req, cluster, info)
	default:
		r.nonResource(w, req, cluster)
	}
}

// process serves a request that names no cluster.
func (r *Router) process(w http.ResponseWriter, req *http.Request) {
	switch path := req.URL.Path; {
	case path == "/version", path == "/version/", path == "/metrics", strings.HasPrefix(path, "/metrics/"), strings.HasPrefix(path, "/debug/pprof"):
		r.base.ServeHTTP(w, req)
	default:
		r.fail(w, req, apistatus.NotServed())
	}
}

// nonResource serves discovery, OpenAPI and the version of a cluster.
func (r *Router) nonResource(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name) {
	switch path := strings.TrimSuffix(req.URL.Path, "/"); {
	case path == "/version":
		r.base.ServeHTTP(w, req)
	case path == "/metrics":
		r.fail(w, req, noMetrics())
	case path == "/api", path == "/apis", strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/apis/"),
		path == "/openapi/v2", path == "/openapi/v3", strings.HasPrefix(path, "/openapi/v3/"):
		snapshot, err := r.Catalog.For(req.Context(), cluster)
		if err != nil {
			r.fail(w, req, fmt.Errorf("finding what is served: %w", err))
			return
		}
		r.Discovery.Handler(snapshot).ServeHTTP(w, req)
	default:
		r.fail(w, req, apistatus.NotServed())
	}
}

// resource serves a request for objects of one cluster.
func (r *Router) resource(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name, info *genericapirequest.RequestInfo) {
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if u, ok := genericapirequest.UserFrom(req.Context()); info.Verb == "watch" && gr != corev1alpha1.Resource("logicalclusters") && (!ok || !policy.Master(u, cluster)) {
		// As the authorizer does, for those who came before.
		ctx, done := r.Clusters.Hold(req.Context(), cluster)
		defer done()
		req = req.WithContext(ctx)
	}
	if r.Base(gr) {
		r.base.ServeHTTP(w, req)
		return
	}
	resource, err := r.lookup(req.Context(), cluster, gr)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	if resource.Terminating && info.Verb == "create" {
		r.fail(w, req, apierrors.NewMethodNotSupported(gr, "create"))
		return
	}
	if info.Verb == "watch" {
		// The client comes back and lists anew when the schema changes under its watch.
		ctx, done := r.Catalog.Hold(req.Context(), cluster, resource)
		defer done()
		req = req.WithContext(ctx)
	}
	if resource.Typed {
		if resource.Terminating {
			// Server-side apply creates, too.
			req = req.WithContext(registryschema.WithTerminating(req.Context()))
		}
		r.base.ServeHTTP(w, req)
		return
	}
	handler, err := r.Schemas.For(resource)
	if err != nil {
		r.fail(w, req, fmt.Errorf("preparing the schema of %s: %w", gr, err))
		return
	}
	handler.ServeHTTP(w, req.WithContext(storage.WithBucket(req.Context(), resource.Bucket)))
}

// lookup returns what cluster serves as gr; NotFound when it does not, even on a second look.
func (r *Router) lookup(ctx context.Context, cluster logicalcluster.Name, gr schema.GroupResource) (*catalog.Resource, error) {
	for _, snapshot := range []func(context.Context, logicalcluster.Name) (*catalog.Snapshot, error){r.Catalog.For, r.Catalog.Refresh} {
		found, err := snapshot(ctx, cluster)
		if err != nil {
			return nil, fmt.Errorf("finding what is served: %w", err)
		}
		if resource, ok := found.Lookup(gr); ok {
			return resource, nil
		}
	}
	return nil, apistatus.NotServed()
}

// wildcard serves lists and watches over all clusters.
func (r *Router) wildcard(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo) {
	if !info.IsResourceRequest {
		r.fail(w, req, apistatus.NotServed())
		return
	}
	if info.Verb != "list" && info.Verb != "watch" {
		r.fail(w, req, apierrors.NewMethodNotSupported(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, info.Verb+" across all clusters"))
		return
	}
	if info.Namespace != "" {
		r.fail(w, req, apierrors.NewBadRequest("a request for all clusters cannot name a namespace"))
		return
	}
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if r.Base(gr) || IsBound(gr) {
		r.base.ServeHTTP(w, req)
		return
	}
	r.fail(w, req, apierrors.NewBadRequest("custom resources across all clusters are served only to the provider of an API, at the URL in its APIExportEndpointSlice"))
}

func (r *Router) fail(w http.ResponseWriter, req *http.Request, err error) {
	responsewriters.ErrorNegotiated(apistatus.Of(err), r.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
}
