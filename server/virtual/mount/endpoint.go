package mount

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/forward"
)

// Name is the name of the virtual workspace. It has no URLs below /services/.
const Name = "mount"

var workspaces = tenancyv1alpha1.Resource("workspaces")

// Policy decides what users may do in clusters.
type Policy interface {
	// InCluster decides whether the user of attrs may do in cluster what attrs say, all barriers included, and tells the user nothing.
	InCluster(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error)
}

// Paths finds Workspaces without a logical cluster; registry/index.Index does.
type Paths interface {
	Mounted(ctx context.Context, path logicalcluster.Path) (parent logicalcluster.Name, name string, ok bool, err error)
	Lost(ctx context.Context, path logicalcluster.Path) (parent logicalcluster.Name, name string, ok bool, err error)
}

// Config is what the virtual workspace is made of. Everything is required unless it says otherwise.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	Paths        Paths
	Policy       Policy
	// Inactive reports, from memory, whether a cluster is switched off.
	Inactive func(cluster logicalcluster.Name) bool
	// Watches are the open streams.
	Watches *serve.Watches
	// Forwarder sends requests. It is nil if workspaces may not be mounted; then those that are lead nowhere.
	Forwarder *forward.Forwarder
	// Codecs encode errors.
	Codecs runtime.NegotiatedSerializer
}

// Endpoint is the virtual workspace. It is safe for concurrent use.
type Endpoint struct {
	virtual.Closed
	Config
}

var (
	_ virtual.Workspace  = &Endpoint{}
	_ virtual.Forwarding = &Endpoint{}
	_ virtual.Follower   = &Endpoint{}
)

// New returns the virtual workspace.
func New(c Config) *Endpoint { return &Endpoint{Config: c} }

// Name implements virtual.Workspace.
func (*Endpoint) Name() string { return Name }

// At implements frontdoor.Mounts. A request uses the share of the cluster that the Workspace is in.
func (e *Endpoint) At(ctx context.Context, path logicalcluster.Path) (virtual.Endpoint, bool, error) {
	if e.Forwarder == nil {
		return virtual.Endpoint{}, false, nil
	}
	return endpointOf(e.Paths.Mounted(ctx, path))
}

// Lost implements frontdoor.Mounts. Those who may get the Workspace learn that it is not available, and nobody else.
func (e *Endpoint) Lost(ctx context.Context, path logicalcluster.Path) (virtual.Endpoint, bool, error) {
	return endpointOf(e.Paths.Lost(ctx, path))
}

// endpointOf returns the endpoint of a Workspace that was found.
func endpointOf(parent logicalcluster.Name, name string, ok bool, err error) (virtual.Endpoint, bool, error) {
	if err != nil || !ok {
		return virtual.Endpoint{}, false, err
	}
	return virtual.Endpoint{Kind: Name, Cluster: parent, Name: name, Direct: true, Workspace: true}, true, nil
}

// Run looks again at the streams of Workspaces that change, until ctx ends. It returns nil then, or the reason why they cannot be watched.
func (e *Endpoint) Run(ctx context.Context) error {
	if e.Forwarder == nil {
		<-ctx.Done() // there are no streams
		return nil
	}
	return follow.All(ctx, e.Cached, []schema.GroupResource{workspaces}, func(_ schema.GroupResource, event client.Event) {
		if event.Type == client.Synced {
			e.Watches.Recheck("") // what happened before was perhaps missed
			return
		}
		if ws, ok := event.Object.(*tenancyv1alpha1.Workspace); ok && ws.Spec.Mount != nil {
			e.Watches.Recheck(logicalcluster.From(ws))
		}
	})
}

var errNoEndpoint = errors.New("the request is for no mounted Workspace")

// where returns the key of the Workspace that a request is for.
func where(ctx context.Context) (client.Key, error) {
	endpoint, ok := virtual.FromContext(ctx)
	cluster, single := logicalcluster.FromContext(ctx)
	if !ok || endpoint.Kind != Name || !single || endpoint.Cluster != cluster {
		return client.Key{}, errNoEndpoint
	}
	return client.Key{Cluster: cluster, Name: endpoint.Name}, nil
}
