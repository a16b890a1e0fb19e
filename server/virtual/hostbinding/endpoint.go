package hostbinding

import (
	"context"
	"slices"
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
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// Name is the name of the virtual workspace.
const Name = "hostbinding"

var (
	hostBindings = annexv1alpha1.Resource("hostbindings")
	exports      = apisv1alpha2.Resource("apiexports")
	bindings     = apisv1alpha2.Resource("apibindings")
	schemas      = apisv1alpha1.Resource("apiresourceschemas")
	conversions  = apisv1alpha1.Resource("apiconversions")
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
	// Ready returns nil once clusters can be found.
	Ready() error
}

// Catalog says what a cluster serves.
type Catalog interface {
	serve.Catalog
	// ResourceOf returns what a definition stands for in a bucket.
	ResourceOf(crd *apiextensionsv1.CustomResourceDefinition, bucket string) (*catalog.Resource, error)
}

// Policy decides about requests for clusters.
type Policy interface {
	authorizer.UnconditionalAuthorizer
	// Projected decides a request for what is projected, by somebody below system:masters.
	Projected(ctx context.Context, byHost bool, attrs authorizer.Attributes) (authorizer.Decision, string, error)
	// Again asks the maximal permission policy behind what serves an authorized request, which may have been bound since.
	Again(ctx context.Context, cluster logicalcluster.Name, served *catalog.Served) error
}

// Config is what the virtual workspace is made of. Everything is required.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write. Writer writes as the server, and As returns one that
	// writes as a user would: admission decides about them, authorization does not.
	Cached, Live client.Reader
	Writer       client.Writer
	As           func(u user.Info) client.Writer
	Clusters     Clusters
	Catalog      Catalog
	Policy       Policy
	// Hosts reports whether a cluster is the host workspace: HostBindings elsewhere mean nothing.
	Hosts func(cluster logicalcluster.Name) bool
	// IsBound reports whether a resource of root's exports is served by typed storage; those are not projected.
	IsBound func(schema.GroupResource) bool
	// Own are the resources that the host forwards whatever is projected.
	Own []*catalog.Resource
	// Changed is told in which cluster a HostBinding projects something else, so that watches can end.
	Changed func(cluster logicalcluster.Name)
	// Info parses URLs as the authorizer will see them. Codecs encode what is answered without storage.
	Info   genericapirequest.RequestInfoResolver
	Codecs runtime.NegotiatedSerializer
}

// Endpoint knows what is projected, and says what requests for it are served from. It is safe for concurrent use.
type Endpoint struct {
	// Closed, since it has no URL below /services/, and no discovery that depends on the request.
	virtual.Closed
	Config
	current atomic.Pointer[set]
	// built is set once the first set was made of what is stored.
	built atomic.Bool
	dirty chan struct{}
}

var (
	_ virtual.Workspace = &Endpoint{}
	_ virtual.Follower  = &Endpoint{}
)

// New returns a virtual workspace that projects nothing yet.
func New(c Config) *Endpoint {
	e := &Endpoint{Config: c, dirty: make(chan struct{}, 1)}
	e.current.Store(newSet(nil, c.Own))
	return e
}

// Name implements virtual.Workspace.
func (*Endpoint) Name() string { return Name }

// publish replaces the set, and ends the watches on what has changed.
func (e *Endpoint) publish(next *set) {
	before := e.current.Swap(next)
	for _, old := range before.all {
		if !slices.Contains(next.all, old) {
			e.Changed(old.key.Cluster)
		}
	}
}

// Shown returns everything that the host forwards, for its discovery and OpenAPI, from memory.
func (e *Endpoint) Shown() *catalog.Snapshot { return e.current.Load().shown }
