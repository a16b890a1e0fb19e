package lifecycle

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

var (
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	workspaceTypes  = tenancyv1alpha1.Resource("workspacetypes")
)

// Authorizer decides by the RBAC of one cluster, whether or not the user may enter it.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attributes authorizer.Attributes) (authorizer.Decision, string, error)
}

// Config is what the virtual workspaces are made of. Everything is required.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	Authorizer   Authorizer
	// Policy decides about requests of users for clusters.
	Policy authorizer.UnconditionalAuthorizer
	// Watches are the open watches. They are looked at again when a LogicalCluster changes.
	Watches *serve.Watches
	// IsStatusByServer reports whether only the server writes the status of a resource.
	IsStatusByServer func(schema.GroupResource) bool
}

// Endpoint is one of the virtual workspaces. It is safe for concurrent use.
type Endpoint struct {
	Config
	stage     *stage
	discovery *discovery.Discovery
}

var (
	_ virtual.Workspace = &Endpoint{}
	_ virtual.Entering  = &Endpoint{}
	_ virtual.Follower  = &Endpoint{}
	_ virtual.Proxied   = &Endpoint{}
)

// NewInitializing returns the virtual workspace of initializers.
func NewInitializing(c Config) *Endpoint { return &Endpoint{Config: c, stage: &initializing} }

// NewTerminating returns the virtual workspace of terminators.
func NewTerminating(c Config) *Endpoint { return &Endpoint{Config: c, stage: &terminating} }

// Name implements virtual.Workspace.
func (e *Endpoint) Name() string { return e.stage.name }

// Proxy implements virtual.Proxied: a host cluster forwards .../workspacetypes/<path>:<type>/proxy/<name of the virtual workspace>/....
func (e *Endpoint) Proxy() virtual.Proxy {
	return virtual.Proxy{
		Kind:      "WorkspaceType",
		Resources: []schema.GroupVersionResource{tenancyv1alpha1.SchemeGroupVersion.WithResource(workspaceTypes.Resource)},
		Segment:   e.stage.name,
		Joined:    true,
	}
}

// Describe sets what serves discovery and OpenAPI of everything that the process serves. It is called before the first request.
func (e *Endpoint) Describe(all *discovery.Discovery) { e.discovery = all }

// Run looks again at the watches of types that change, until ctx ends. It returns nil then, or the reason why types cannot be watched.
func (e *Endpoint) Run(ctx context.Context) error {
	return follow.All(ctx, e.Cached, []schema.GroupResource{workspaceTypes}, func(_ schema.GroupResource, event client.Event) {
		switch {
		case event.Object != nil:
			e.Watches.Recheck(logicalcluster.From(event.Object))
		case event.Type == client.Synced:
			e.Watches.Recheck("") // what happened before was perhaps missed
		}
	})
}

// at is where a request is.
type at struct {
	endpoint virtual.Endpoint
	// id is the name of the initializer or terminator.
	id string
	// cluster is the one that the request is for; empty for all of them.
	cluster logicalcluster.Name
}

var errNoEndpoint = errors.New("the request is for no virtual workspace of a WorkspaceType, or for no cluster")

// where returns where the request of ctx is.
func (e *Endpoint) where(ctx context.Context) (at, error) {
	endpoint, ok := virtual.FromContext(ctx)
	cluster, single := logicalcluster.FromContext(ctx)
	if !ok || endpoint.Kind != e.stage.name || !single && !logicalcluster.IsWildcard(ctx) {
		return at{}, errNoEndpoint
	}
	return at{endpoint, endpoint.Cluster.String() + logicalcluster.Separator + endpoint.Name, cluster}, nil
}

// typeOf returns the WorkspaceType of a; nil if there is none, even on a second look past the watch caches.
func (e *Endpoint) typeOf(ctx context.Context, a at) (*tenancyv1alpha1.WorkspaceType, error) {
	return client.FindNow[tenancyv1alpha1.WorkspaceType](ctx, e.Cached, e.Live, workspaceTypes, client.Key{Cluster: a.endpoint.Cluster, Name: a.endpoint.Name})
}

// waits returns the LogicalCluster of a if it waits for its type; nil if it does not, even on a second look past the watch caches.
func (e *Endpoint) waits(ctx context.Context, a at) (*corev1alpha1.LogicalCluster, error) {
	var waits *corev1alpha1.LogicalCluster
	err := client.LookTwice(e.Cached, e.Live, func(from client.Reader) (enough bool, err error) {
		lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, from, logicalClusters, client.Key{Cluster: a.cluster, Name: corev1alpha1.LogicalClusterName})
		if err != nil || lc == nil || !e.stage.release(a.id).Concerns(lc) {
			return false, err
		}
		waits = lc
		return true, nil
	})
	return waits, err
}
