package apiexport

import (
	"context"
	"fmt"
	"net/http"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	openapicommon "k8s.io/kube-openapi/pkg/common"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// Name is the name of the virtual workspace, which is also the first segment behind /services/.
const Name = "apiexport"

// defaultCapacity bounds the offered resources that are kept ready.
const defaultCapacity = 16 << 20

// resourceFactor is about how much more a decoded definition takes than its protobuf.
const resourceFactor = 8

// Authorizer decides by the RBAC of one cluster, whether or not the user may enter it.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attributes authorizer.Attributes) (authorizer.Decision, string, error)
}

// Definitions turns a definition into what the schema handler serves.
type Definitions interface {
	BoundResource(ctx context.Context, gr schema.GroupResource, uid, identity string) (*catalog.Resource, bool, error)
	ResourceOf(crd *apiextensionsv1.CustomResourceDefinition, bucket string) (*catalog.Resource, error)
	serve.Catalog
}

// Config is what the virtual workspace is made of. Everything is required unless it says otherwise.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	Authorizer   Authorizer
	Activity     Activity
	// PathOf returns the path of a cluster from memory; false if it is not known.
	PathOf      func(cluster logicalcluster.Name) (logicalcluster.Path, bool)
	Definitions Definitions
	// Group is the storage of apis.kcp.io.
	Group  *group.Group
	Scheme *kinds.Scheme
	// OpenAPIV3 and OpenAPIV2 describe the types of the process.
	OpenAPIV3 *openapicommon.OpenAPIV3Config
	OpenAPIV2 *openapicommon.Config
	// IsBound says which resources of root's exports are served by typed storage.
	IsBound func(schema.GroupResource) bool
	// IsStatusByServer says of which resources only the server writes the status.
	IsStatusByServer func(schema.GroupResource) bool
	// Revision returns the revision that the watch caches of apibindings have reached, which is no older than the call.
	Revision func(ctx context.Context) (uint64, error)
	// MayClaim reports whether the maximal permission policy behind a bound resource of consumers, if there is one, lets the user of attrs reach it
	// by a claim of an export in from.
	MayClaim func(ctx context.Context, from logicalcluster.Name, source catalog.Source, attrs authorizer.Attributes) (bool, error)
	// Changed is told in which cluster an export or a schema has changed, so that watches can end; empty for perhaps any.
	Changed func(cluster logicalcluster.Name)
	// Virtual returns the target of a request in consumer for a resource with virtual storage that consumer has bound. Errors are API statuses.
	Virtual func(req *http.Request, info *genericapirequest.RequestInfo, consumer logicalcluster.Name, served *catalog.Served) (serve.Target, error)
	// MinRequestTimeout is the shortest time after which the server ends a watch on apibindings; 0 stands for 30 minutes.
	MinRequestTimeout time.Duration
	// Documents keeps those of discovery; nil for a cache of its own.
	Documents *discovery.Cache
	// Capacity bounds the offered resources that are kept, in bytes; 0 stands for 16 MiB.
	Capacity int64
}

// Endpoint is the virtual workspace. It is safe for concurrent use.
type Endpoint struct {
	Config
	bindings  http.Handler
	discovery *discovery.Discovery
	resources *lru.Cache[resourceKey, *catalog.Resource]
	answers   *answers
}

var (
	_ virtual.Workspace = &Endpoint{}
	_ virtual.Follower  = &Endpoint{}
	_ virtual.Proxied   = &Endpoint{}
)

// New returns the virtual workspace. The error says what of the storage cannot be used.
func New(c Config) (*Endpoint, error) {
	if c.Capacity == 0 {
		c.Capacity = defaultCapacity
	}
	if c.MinRequestTimeout == 0 {
		c.MinRequestTimeout = defaultMinRequestTimeout
	}
	container, err := newBindingsContainer(c)
	if err != nil {
		return nil, fmt.Errorf("building the virtual workspace of providers: %w", err)
	}
	docs, err := discovery.New(discovery.Config{
		Container: container,
		OpenAPIV3: c.OpenAPIV3,
		OpenAPIV2: c.OpenAPIV2,
		IsBound:   func(gr schema.GroupResource) bool { return gr == bindings },
		Codecs:    c.Scheme.Codecs,
		Cache:     c.Documents,
	})
	if err != nil {
		return nil, fmt.Errorf("building the discovery of the virtual workspace of providers: %w", err)
	}
	return &Endpoint{Config: c, bindings: container, discovery: docs, resources: lru.New[resourceKey, *catalog.Resource](c.Capacity, nil), answers: &answers{}}, nil
}

// Bytes returns about how many bytes offered resources take, and how many they may take.
func (e *Endpoint) Bytes() (bytes, limit int64) { return e.resources.Bytes() }

// Name implements virtual.Workspace.
func (*Endpoint) Name() string { return Name }

// Proxy implements virtual.Proxied.
func (*Endpoint) Proxy() virtual.Proxy {
	return virtual.Proxy{Kind: "APIExport", Resources: []schema.GroupVersionResource{
		apisv1alpha1.SchemeGroupVersion.WithResource(exports.Resource), apisv1alpha2.SchemeGroupVersion.WithResource(exports.Resource),
	}}
}

// Describe sets what serves discovery and OpenAPI of everything that the process serves: claims make it reachable. It is called before
// the first request.
func (e *Endpoint) Describe(all *discovery.Discovery) { e.discovery = all }

// Run follows what consumers accept, and tells of changes of exports and schemas, until ctx ends. It returns nil then, or the reason why
// they cannot be watched.
func (e *Endpoint) Run(ctx context.Context) error {
	return follow.All(ctx, e.Cached, []schema.GroupResource{exports, schemas, conversions, bindings}, func(gr schema.GroupResource, event client.Event) {
		e.observe(ctx, gr, event)
	})
}

// observe tells of what an event may have changed.
func (e *Endpoint) observe(ctx context.Context, gr schema.GroupResource, event client.Event) {
	if gr == bindings {
		e.answers.observe(ctx, event, e.Revision)
		if event.Type == client.Synced {
			e.Changed("")
		}
		return
	}
	switch {
	case event.Object != nil:
		e.Changed(logicalcluster.From(event.Object))
	case event.Type == client.Synced:
		e.Changed("") // what happened before was perhaps missed
	}
}
