package hostbinding

import (
	"context"
	"net/http"
	"sync/atomic"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/discovery"
)

var (
	hostBindings = annexv1alpha1.Resource("hostbindings")
	exports      = apisv1alpha2.Resource("apiexports")
	bindings     = apisv1alpha2.Resource("apibindings")
	schemas      = apisv1alpha1.Resource("apiresourceschemas")
	workspaces   = tenancyv1alpha1.Resource("workspaces")
	namespaces   = schema.GroupResource{Resource: "namespaces"}
)

// Clusters finds logical clusters.
type Clusters interface {
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
	// Phase returns the phase of a cluster, such as Ready; false when there is none.
	Phase(ctx context.Context, cluster logicalcluster.Name) (string, bool, error)
	// PathOf returns the canonical path of a cluster from memory; false when it is not known.
	PathOf(cluster logicalcluster.Name) (logicalcluster.Path, bool)
	// Hold returns a context that ends when the cluster is switched off.
	Hold(ctx context.Context, cluster logicalcluster.Name) (context.Context, context.CancelFunc)
	// Ready returns nil once clusters can be found.
	Ready() error
}

// Catalog says what a cluster serves.
type Catalog interface {
	For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	Hold(ctx context.Context, cluster logicalcluster.Name, resource *catalog.Resource) (context.Context, context.CancelFunc)
	// ResourceOf returns what a definition stands for in a bucket.
	ResourceOf(crd *apiextensionsv1.CustomResourceDefinition, bucket string) (*catalog.Resource, error)
}

// Schemas gives the handler that serves a custom resource, whatever the cluster.
type Schemas interface {
	For(resource *catalog.Resource) (http.Handler, error)
}

// Config is what the endpoint needs. Everything is required.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write. Writer writes as the server, and as returns one that
	// writes as a user would: admission decides about them, authorization does not.
	Cached, Live client.Reader
	Writer       client.Writer
	As           func(u user.Info) client.Writer
	Clusters     Clusters
	Catalog      Catalog
	// Hosts reports whether a cluster is the host workspace: HostBindings elsewhere mean nothing.
	Hosts func(cluster logicalcluster.Name) bool
	// Typed reports whether a resource of root's exports is served by typed storage; those are not projected.
	Typed func(schema.GroupResource) bool
	// Info parses URLs as the authorizer will see them.
	Info genericapirequest.RequestInfoResolver
}

// Serving is what the endpoint needs to serve requests. Everything is required.
type Serving struct {
	Schemas Schemas
	// Authorizer decides whether the user of a request may do in one workspace what it asks for.
	Authorizer authorizer.Authorizer
	// Documents makes discovery and OpenAPI documents, and Own are the resources that the host forwards whatever is projected.
	Documents *discovery.Discovery
	Own       []*catalog.Resource
	Codecs    runtime.NegotiatedSerializer
}

// Endpoint knows what is projected, and serves requests for it. It is safe for concurrent use.
type Endpoint struct {
	Config
	serving Serving
	current atomic.Pointer[set]
	// documents serves discovery and OpenAPI of everything that the host forwards.
	documents atomic.Pointer[http.Handler]
	// built is set once the first set was made of what is stored.
	built atomic.Bool
	dirty chan struct{}
	open  watches
}

var _ http.Handler = &Endpoint{}

// New returns an endpoint that projects nothing yet.
func New(c Config) *Endpoint {
	e := &Endpoint{Config: c, dirty: make(chan struct{}, 1)}
	e.current.Store(newSet(nil))
	return e
}

// Serve makes the endpoint serve. It must be called before the first request and before [Endpoint.Run].
func (e *Endpoint) Serve(s Serving) {
	e.serving = s
	e.publish(newSet(nil))
}

// publish replaces the set, and ends the watches on what has changed.
func (e *Endpoint) publish(next *set) {
	documents := e.serving.Documents.HandlerWithoutBase(next.documented(e.serving.Own))
	e.documents.Store(&documents)
	before := e.current.Swap(next)
	for _, old := range before.all {
		kept := false
		for _, p := range next.all {
			kept = kept || p == old
		}
		if !kept {
			e.open.end(old)
		}
	}
}

// ServeDocuments serves discovery and OpenAPI of everything that the host forwards, from memory.
func (e *Endpoint) ServeDocuments(w http.ResponseWriter, req *http.Request) {
	(*e.documents.Load()).ServeHTTP(w, req)
}
