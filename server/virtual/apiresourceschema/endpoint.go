package apiresourceschema

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/virtual"
)

// Name is the name of the virtual workspace, which is also the first segment behind /services/.
const Name = "apiresourceschema"

var (
	schemas  = apisv1alpha1.Resource("apiresourceschemas")
	bindings = apisv1alpha2.Resource("apibindings")
)

// Policy decides what users may do in clusters.
type Policy interface {
	// InCluster decides whether the user of attrs may do in cluster what attrs say, all barriers included, and tells the user nothing.
	InCluster(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error)
}

// Resolver finds the logical cluster behind a path.
type Resolver interface {
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Config is what the virtual workspace is made of. Everything is required.
type Config struct {
	// Cached reads the watch caches. Fresh waits until those of APIBindings hold every write that was acknowledged before the call.
	Cached   client.Reader
	Fresh    func(ctx context.Context) (revision uint64, err error)
	Policy   Policy
	Resolver Resolver
	// Inactive reports, from memory, whether a cluster is switched off.
	Inactive func(cluster logicalcluster.Name) bool
}

// Endpoint is the virtual workspace. It is safe for concurrent use.
type Endpoint struct {
	Config
	discovery *discovery.Discovery
}

var _ virtual.Workspace = &Endpoint{}

// New returns the virtual workspace.
func New(c Config) *Endpoint { return &Endpoint{Config: c} }

// Name implements virtual.Workspace.
func (*Endpoint) Name() string { return Name }

// Describe sets what serves discovery and OpenAPI of everything that the process serves. It is called before the first request.
func (e *Endpoint) Describe(all *discovery.Discovery) { e.discovery = all }
