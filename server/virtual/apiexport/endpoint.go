package apiexport

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/server/discovery"
)

// resourceCapacity bounds how many offered resources are kept ready; each refers to a schema that its handler holds anyway.
const resourceCapacity = 512

// Authorizer decides by the RBAC of one cluster, whether or not the user may enter it.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attributes authorizer.Attributes) (authorizer.Decision, string, error)
}

// Definitions turns a definition into what the schema handler serves.
type Definitions interface {
	ResourceOf(crd *apiextensionsv1.CustomResourceDefinition, bucket string) (*catalog.Resource, error)
}

// Schemas gives the handler that serves a custom resource, whatever the cluster.
type Schemas interface {
	For(resource *catalog.Resource) (http.Handler, error)
}

// Config is what the endpoint needs to decide about requests.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	Authorizer   Authorizer
}

// Serving is what the endpoint needs to serve them.
type Serving struct {
	Definitions Definitions
	Schemas     Schemas
	// Group is the storage of apis.kcp.io.
	Group  *group.Group
	Scheme *kinds.Scheme
	// OpenAPIV3 and OpenAPIV2 describe the types of the process.
	OpenAPIV3 *openapicommon.OpenAPIV3Config
	OpenAPIV2 *openapicommon.Config
	// Typed says which resources of root's exports are served by typed storage.
	Typed func(schema.GroupResource) bool
	// Version is what /version answers.
	Version *version.Info
	// MinRequestTimeout is the shortest time after which the server ends a watch on apibindings; 0 stands for 30 minutes.
	MinRequestTimeout time.Duration
}

// Endpoint authorizes and serves the requests whose context holds a virtual endpoint of kind apiexport. It is safe for
// concurrent use.
type Endpoint struct {
	Config
	serving atomic.Pointer[serving]
	open    watches
}

var (
	_ authorizer.UnconditionalAuthorizer = &Endpoint{}
	_ http.Handler                       = &Endpoint{}
)

// serving is what Serve made of a Serving.
type serving struct {
	Serving
	bindings  http.Handler
	discovery *discovery.Discovery
	// resources maps a resourceKey to a *catalog.Resource.
	resources *lru.Cache
}

// New returns an endpoint that decides about requests, and answers them once Serve was called: the authorizer of a server
// must exist before its storage does.
func New(c Config) *Endpoint { return &Endpoint{Config: c} }

// Serve makes the endpoint serve. Call it once; the error says what of the storage could not be used.
func (e *Endpoint) Serve(s Serving) error {
	if s.Typed == nil {
		s.Typed = func(schema.GroupResource) bool { return false }
	}
	if s.MinRequestTimeout == 0 {
		s.MinRequestTimeout = defaultMinRequestTimeout
	}
	container, err := newBindingsContainer(s)
	if err != nil {
		return fmt.Errorf("building the virtual workspace of providers: %w", err)
	}
	docs, err := discovery.New(discovery.Config{
		Container: container,
		OpenAPIV3: s.OpenAPIV3,
		OpenAPIV2: s.OpenAPIV2,
		Bound:     func(gr schema.GroupResource) bool { return gr == bindings },
		Codecs:    s.codecs(),
	})
	if err != nil {
		return fmt.Errorf("building the discovery of the virtual workspace of providers: %w", err)
	}
	e.serving.Store(&serving{Serving: s, bindings: container, discovery: docs, resources: lru.New(resourceCapacity)})
	return nil
}

func (s *Serving) codecs() runtime.NegotiatedSerializer { return s.Scheme.Codecs }
