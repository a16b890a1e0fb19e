package router

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/authentication"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authentication/tokens"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// auditRejected is the audit annotation with the path of a request that is served for the whole server only, but was sent for a workspace.
const auditRejected = "shardpaths.kcp.io/rejected"

// Discovery gives the handler that serves discovery and OpenAPI for a snapshot.
type Discovery interface {
	Handler(snapshot *catalog.Snapshot, cluster logicalcluster.Name) http.Handler
}

// Issuer is what others check the tokens of a cluster with. tokens.Tokens is one.
type Issuer interface {
	// Published returns the document at the path of r, and its content type.
	Published(r *http.Request, cluster logicalcluster.Name) (document []byte, contentType string, err error)
}

// Metadata serves the metadata of custom resources. metadata.Server is one.
type Metadata interface {
	// Wants reports whether a request asks for metadata only.
	Wants(r *http.Request) bool
	// Handler returns what serves lists, or watches, of a resource; nil if no cluster serves it in that version.
	Handler(ctx context.Context, gvr schema.GroupVersionResource, watch bool) (http.Handler, error)
}

// Config is what the router needs. Everything is required.
type Config struct {
	// API serves the process's own API groups, /version and what is about the process.
	API       http.Handler
	Catalog   serve.Catalog
	Discovery Discovery
	// Issuer publishes who issues tokens in a cluster.
	Issuer Issuer
	// Virtual serves requests for virtual endpoints.
	Virtual http.Handler
	// Identified returns what serves a resource with an identity in all clusters.
	Identified func(ctx context.Context, gr schema.GroupResource, identity string) (serve.Target, error)
	// Metadata serves the metadata of custom resources in all clusters, whatever their schemas.
	Metadata Metadata
	// Again asks the maximal permission policy behind a bound resource, once it is known that it serves the request.
	Again func(ctx context.Context, cluster logicalcluster.Name, served *catalog.Served) error
	// Usage returns what a cluster stores.
	Usage func(ctx context.Context, cluster logicalcluster.Name) (limits.Amount, error)
	// Switched returns what differs once a cluster was switched off or on.
	Switched func() uint64
	// Elsewhere returns the target of a request for a bound resource with virtual storage, which the cluster does not store. Errors are API
	// statuses.
	Elsewhere func(req *http.Request, info *genericapirequest.RequestInfo, cluster logicalcluster.Name, served *catalog.Served) (serve.Target, error)
	// Base reports whether the process itself serves the resource in every cluster.
	Base func(schema.GroupResource) bool
	// Serve is the last mile.
	Serve *serve.Server
}

// Router serves requests that are authenticated and authorized.
type Router struct{ Config }

// New returns a router.
func New(c Config) *Router { return &Router{c} }

// ServeHTTP implements http.Handler.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok {
		r.Serve.Fail(w, req, apierrors.NewInternalError(fmt.Errorf("the request has no RequestInfo")))
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
	if gr := (schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}); info.IsResourceRequest && authentication.AsksWhoIAm(info.Verb, gr, info.Subresource) {
		// Without the cluster, because nothing of it may show to somebody who may not enter it.
		r.API.ServeHTTP(w, req.WithContext(logicalcluster.WithUnknown(ctx)))
		return
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		r.process(w, req)
		return
	}
	r.inside(w, req, cluster, info)
}

// Inside serves a request for one cluster that a virtual workspace has let in.
func (r *Router) Inside(w http.ResponseWriter, req *http.Request) {
	info, known := genericapirequest.RequestInfoFrom(req.Context())
	cluster, single := logicalcluster.FromContext(req.Context())
	if !known || !single {
		r.Serve.Fail(w, req, apierrors.NewInternalError(fmt.Errorf("the request enters no cluster")))
		return
	}
	r.inside(w, req, cluster, info)
}

// inside serves a request for one cluster.
func (r *Router) inside(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name, info *genericapirequest.RequestInfo) {
	if info.IsResourceRequest {
		r.resource(w, req, cluster, info)
		return
	}
	r.nonResource(w, req, cluster)
}

// process serves a request that names no cluster.
func (r *Router) process(w http.ResponseWriter, req *http.Request) {
	switch path := req.URL.Path; {
	case path == "/version", path == "/version/", path == "/metrics", strings.HasPrefix(path, "/metrics/"), strings.HasPrefix(path, "/debug/pprof"):
		r.API.ServeHTTP(w, req)
	default:
		r.Serve.Fail(w, req, apistatus.NotServed())
	}
}

// usagePath is where a cluster says what it stores. Whoever may get it, by RBAC of the cluster as for any path, has been let in.
const usagePath = "/usage"

// nonResource serves discovery, OpenAPI and the version of a cluster, and what it stores.
func (r *Router) nonResource(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name) {
	switch path := strings.TrimSuffix(req.URL.Path, "/"); {
	case path == "/version":
		r.API.ServeHTTP(w, req)
	case path == "/metrics":
		audit.AddAuditAnnotation(req.Context(), auditRejected, path)
		r.Serve.Fail(w, req, apistatus.NotImplemented("metrics are served for the whole server only, at /metrics"))
	case path == "/api", path == "/apis", strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/apis/"),
		path == "/openapi/v2", path == "/openapi/v3", strings.HasPrefix(path, "/openapi/v3/"):
		snapshot, err := r.Catalog.For(req.Context(), cluster)
		if err != nil {
			r.Serve.Fail(w, req, fmt.Errorf("finding what is served: %w", err))
			return
		}
		r.Discovery.Handler(snapshot, cluster).ServeHTTP(w, req)
	case path == usagePath:
		r.usage(w, req, cluster)
	case path == tokens.ConfigurationPath, path == tokens.KeysPath:
		r.issuer(w, req, cluster)
	default:
		r.Serve.Fail(w, req, apistatus.NotServed())
	}
}

// usage serves what a cluster stores, as JSON.
func (r *Router) usage(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		r.Serve.Fail(w, req, apierrors.NewMethodNotSupported(schema.GroupResource{}, req.Method))
		return
	}
	stored, err := r.Usage(req.Context(), cluster)
	if err != nil {
		r.Serve.Fail(w, req, fmt.Errorf("counting what is stored: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(stored.String() + "\n"))
}

// issuer serves OpenID Connect discovery.
func (r *Router) issuer(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		r.Serve.Fail(w, req, apierrors.NewMethodNotSupported(schema.GroupResource{}, req.Method))
		return
	}
	document, contentType, err := r.Issuer.Published(req, cluster)
	if err != nil {
		r.Serve.Fail(w, req, fmt.Errorf("publishing the issuer of tokens: %w", err))
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(document)
}

// resource serves a request for objects of one cluster.
func (r *Router) resource(w http.ResponseWriter, req *http.Request, cluster logicalcluster.Name, info *genericapirequest.RequestInfo) {
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if r.Base(gr) {
		r.Serve.Serve(w, req, serve.Target{Cluster: cluster, Handler: r.API})
		return
	}
	served, err := serve.Lookup(req.Context(), r.Catalog, cluster, gr, nil)
	if err == nil && served == nil {
		err = apistatus.NotServed()
	}
	if err == nil {
		err = r.Again(req.Context(), cluster, served)
	}
	if err != nil {
		r.Serve.Fail(w, req, err)
		return
	}
	target := serve.Target{Cluster: cluster, Resource: served.Resource, Owner: served.Owner, Cataloged: true}
	if served.Virtual {
		if target, err = r.Elsewhere(req, info, cluster, served); err != nil {
			r.Serve.Fail(w, req, err)
			return
		}
	}
	r.Serve.Serve(w, req, target)
}

// unswitched is the condition of watches on all clusters: they end when one is switched off or on, as the watches in that cluster do. A watch on
// LogicalClusters shows just that, and goes on.
func (r *Router) unswitched(gr schema.GroupResource) serve.Condition {
	if gr == corev1alpha1.Resource("logicalclusters") {
		return serve.Condition{}
	}
	before := r.Switched()
	return serve.Condition{Cluster: serve.AllClusters, Holds: func(context.Context) bool { return r.Switched() == before }}
}

// wildcard serves lists and watches over all clusters.
func (r *Router) wildcard(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo) {
	if !info.IsResourceRequest {
		r.Serve.Fail(w, req, apistatus.NotServed())
		return
	}
	if info.Verb != "list" && info.Verb != "watch" {
		r.Serve.Fail(w, req, serve.OneCluster(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, info.Verb, "all clusters"))
		return
	}
	if info.Namespace != "" {
		r.Serve.Fail(w, req, serve.NoNamespace("all clusters"))
		return
	}
	if plural, identity, found := strings.Cut(info.Resource, ":"); found {
		r.identified(w, req, info, plural, identity)
		return
	}
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if r.Base(gr) || kinds.All.IsBound(gr) {
		r.Serve.Serve(w, req, serve.Target{All: true, Handler: r.API, While: r.unswitched(gr)})
		return
	}
	r.metadata(w, req, info, gr)
}

// metadata serves lists and watches of the metadata of a custom resource in all clusters. Whole objects have a schema, and that has an identity.
func (r *Router) metadata(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo, gr schema.GroupResource) {
	if !r.Metadata.Wants(req) {
		r.Serve.Fail(w, req, apierrors.NewBadRequest(fmt.Sprintf("custom resources across all clusters need the identity of their API: %s:<identityHash> instead of %s. "+
			"Without it, only their metadata is served: ask for as=PartialObjectMetadataList in the Accept header", info.Resource, info.Resource)))
		return
	}
	handler, err := r.Metadata.Handler(req.Context(), gr.WithVersion(info.APIVersion), info.Verb == "watch")
	if err == nil && handler == nil {
		err = apistatus.NotServed()
	}
	if err != nil {
		r.Serve.Fail(w, req, err)
		return
	}
	r.Serve.Serve(w, req, serve.Target{All: true, Handler: handler, Context: storage.WithEveryBucket, While: r.unswitched(gr)})
}

// identified serves lists and watches of a resource with an identity in all clusters.
func (r *Router) identified(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo, plural, identity string) {
	target, err := r.Identified(req.Context(), schema.GroupResource{Group: info.APIGroup, Resource: plural}, identity)
	if err != nil {
		r.Serve.Fail(w, req, err)
		return
	}
	// The handlers know the resource without its identity.
	plain, address := *info, *req.URL
	address.Path, address.RawPath = strings.Replace(address.Path, "/"+info.Resource, "/"+plural, 1), ""
	plain.Resource, plain.Path = plural, address.Path
	plain.Parts = append([]string{plural}, info.Parts[1:]...)
	req = req.WithContext(genericapirequest.WithRequestInfo(req.Context(), &plain))
	req.URL = &address
	r.Serve.Serve(w, req, target)
}
