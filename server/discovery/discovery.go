package discovery

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/emicklei/go-restful/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	componentversion "k8s.io/component-base/version"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// Config says what every cluster serves.
type Config struct {
	// Container serves the API groups of the process, all of them installed.
	Container *restful.Container
	// OpenAPIV3 and OpenAPIV2 describe its types.
	OpenAPIV3 *openapicommon.OpenAPIV3Config
	OpenAPIV2 *openapicommon.Config
	// IsBound says which resources of the container a cluster serves only while its snapshot holds them, as Typed. Nil for none.
	IsBound func(schema.GroupResource) bool
	// Codecs encode the documents of legacy discovery, and errors.
	Codecs runtime.NegotiatedSerializer
	// Cache keeps documents; nil for one of its own.
	Cache *Cache
}

// Discovery makes and keeps documents. It is safe for concurrent use.
type Discovery struct {
	config     Config
	base       *base
	aggregated runtime.NegotiatedSerializer
}

// setKey names a set of documents.
type setKey struct {
	hash string
	base bool
}

// String returns the key as a name.
func (k setKey) String() string { return fmt.Sprint(k.hash, k.base) }

// New returns a Discovery for what the container serves now.
func New(config Config) (*Discovery, error) {
	if config.IsBound == nil {
		config.IsBound = func(schema.GroupResource) bool { return false }
	}
	if config.Container == nil || config.OpenAPIV2 == nil || config.OpenAPIV3 == nil || config.Codecs == nil {
		return nil, errors.New("discovery needs a container, its OpenAPI configurations and codecs")
	}
	if config.OpenAPIV2.Info == nil || config.OpenAPIV2.Info.Version == "" {
		// A document without a version cannot be encoded as protobuf.
		named := *config.OpenAPIV2
		named.Info = &spec.Info{InfoProps: spec.InfoProps{Version: componentversion.Get().GitVersion}}
		if config.OpenAPIV2.Info != nil {
			named.Info.Title = config.OpenAPIV2.Info.Title
		}
		config.OpenAPIV2 = &named
	}
	aggregated, err := newAggregatedCodecs()
	if err != nil {
		return nil, err
	}
	b, err := readBase(config.Container)
	if err != nil {
		return nil, fmt.Errorf("reading what the process serves: %w", err)
	}
	if config.Cache == nil {
		config.Cache = NewCache(0)
	}
	return &Discovery{config: config, base: b, aggregated: aggregated}, nil
}

// Handler serves all paths of discovery and OpenAPI for a cluster with the given snapshot. What is kept is kept for the cluster.
func (d *Discovery) Handler(snapshot *catalog.Snapshot, cluster logicalcluster.Name) http.Handler {
	return d.set(setKey{snapshot.Hash(), true}, snapshot, cluster)
}

// HandlerWithoutBase serves the same for the resources of the snapshot alone, as a virtual workspace shows them. Typed
// resources of the snapshot are shown as the process serves them.
func (d *Discovery) HandlerWithoutBase(snapshot *catalog.Snapshot, cluster logicalcluster.Name) http.Handler {
	return d.set(setKey{snapshot.Hash(), false}, snapshot, cluster)
}

func (d *Discovery) set(key setKey, snapshot *catalog.Snapshot, cluster logicalcluster.Name) *set {
	s := &set{discovery: d, key: key, snapshot: snapshot, owner: cluster.String()}
	s.groups = d.config.Cache.groups(d, key, s.owner, func() *groups {
		return &groups{list: merge(d.base, snapshot, key.base, d.config.IsBound)}
	})
	return s
}

// set is all documents for one hash, for one request: a snapshot takes much more memory than what is kept of it.
type set struct {
	discovery *Discovery
	key       setKey
	snapshot  *catalog.Snapshot
	owner     string // whom documents are kept for
	*groups
}

// groups are the groups that a set shows.
type groups struct {
	list []apiGroup

	aggregateOnce         sync.Once
	aggregate, aggregateV aggregate // of /apis and of /api
}

// ServeHTTP implements http.Handler.
func (s *set) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		s.fail(w, req, apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, req.Method, schema.GroupResource{}, "", "", 0, true))
		return
	}
	path := strings.Trim(req.URL.Path, "/")
	segments := strings.Split(path, "/")
	switch {
	case path == "openapi/v2":
		s.serveOpenAPI2(w, req)
	case path == "openapi/v3":
		s.serveOpenAPI3Index(w, req)
	case strings.HasPrefix(path, "openapi/v3/"):
		s.serveOpenAPI3(w, req, strings.TrimPrefix(path, "openapi/v3/"))
	case path == "api":
		s.serveRoot(w, req, true)
	case path == "apis":
		s.serveRoot(w, req, false)
	case segments[0] == "api" && len(segments) == 2:
		s.serveVersion(w, req, schema.GroupVersion{Version: segments[1]})
	case segments[0] == "apis" && len(segments) == 2:
		s.serveGroup(w, req, segments[1])
	case segments[0] == "apis" && len(segments) == 3:
		s.serveVersion(w, req, schema.GroupVersion{Group: segments[1], Version: segments[2]})
	default:
		s.notFound(w, req)
	}
}

func (s *set) notFound(w http.ResponseWriter, req *http.Request) {
	s.fail(w, req, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: "the server could not find the requested resource",
	}})
}

func (s *set) fail(w http.ResponseWriter, req *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, s.discovery.config.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
}
