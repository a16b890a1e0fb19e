package replication

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// Name is the name of the virtual workspace, which is also the first segment behind /services/.
const Name = "replication"

// Authorizer decides by the RBAC of one cluster, whether or not the user may enter it.
type Authorizer interface {
	Authorize(ctx context.Context, cluster logicalcluster.Name, attributes authorizer.Attributes) (authorizer.Decision, string, error)
}

// Resolver finds logical clusters by path or name.
type Resolver interface {
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Catalog says what clusters serve, and what a definition stands for.
type Catalog interface {
	serve.Catalog
	ResourceOf(crd *apiextensionsv1.CustomResourceDefinition, bucket string) (*catalog.Resource, error)
}

// Config is what the virtual workspace is made of. Everything is required.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	Authorizer   Authorizer
	Resolver     Resolver
	Catalog      Catalog
	// Inactive reports, from memory, whether a cluster is switched off.
	Inactive func(cluster logicalcluster.Name) bool
	// Changed is told in which cluster something that requests depend on has changed, so that watches can end; empty for perhaps any.
	Changed func(cluster logicalcluster.Name)
}

// Endpoint is the virtual workspace. It is safe for concurrent use.
type Endpoint struct {
	Config
	discovery *discovery.Discovery
}

var (
	_ virtual.Workspace = &Endpoint{}
	_ virtual.Follower  = &Endpoint{}
)

// New returns the virtual workspace.
func New(c Config) *Endpoint { return &Endpoint{Config: c} }

// Describe sets what serves discovery and OpenAPI. It is called before the first request.
func (e *Endpoint) Describe(all *discovery.Discovery) { e.discovery = all }

// Name implements virtual.Workspace.
func (*Endpoint) Name() string { return Name }

// Run tells of changes of ClusterCachedResources and their slices until ctx ends; others tell of APIExports and APIBindings. It returns nil
// then, or the reason why they cannot be watched.
func (e *Endpoint) Run(ctx context.Context) error {
	return follow.All(ctx, e.Cached, []schema.GroupResource{cached, endpointSlices}, func(_ schema.GroupResource, event client.Event) {
		switch {
		case event.Object != nil:
			e.Changed(logicalcluster.From(event.Object))
		case event.Type == client.Synced:
			e.Changed("") // what happened before was perhaps missed
		}
	})
}

var errNoEndpoint = errors.New("the request is for no virtual workspace of a ClusterCachedResourceEndpointSlice")

// exportOf returns the APIExport that the slice of endpoint names; nil if slice or export do not exist.
func (e *Endpoint) exportOf(ctx context.Context, endpoint virtual.Endpoint) (*apisv1alpha2.APIExport, error) {
	slice, err := client.FindNow[cachev1alpha1.ClusterCachedResourceEndpointSlice](ctx, e.Cached, e.Live, endpointSlices, client.Key{Cluster: endpoint.Cluster, Name: endpoint.Name})
	if err != nil || slice == nil {
		return nil, err
	}
	here, err := e.names(ctx, endpoint.Cluster, slice.Spec.APIExport.Path)
	if err != nil || !here {
		return nil, err
	}
	return client.FindNow[apisv1alpha2.APIExport](ctx, e.Cached, e.Live, exports, client.Key{Cluster: endpoint.Cluster, Name: slice.Spec.APIExport.Name})
}

// Authorize implements virtual.Workspace. It allows or denies; nothing else has a say about a virtual endpoint. The user needs the verb on
// the content of the APIExport, and the consumer must have bound the resource from it through the slice.
func (e *Endpoint) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	endpoint, ok := virtual.FromContext(ctx)
	consumer, single := logicalcluster.FromContext(ctx)
	if !ok || endpoint.Kind != Name || !single && !logicalcluster.IsWildcard(ctx) {
		return authorizer.DecisionDeny, errNoEndpoint.Error(), nil
	}
	who := attrs.GetUser()
	if who == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	export, err := e.exportOf(ctx, endpoint)
	if err != nil {
		return authorizer.DecisionDeny, "the APIExport could not be read", err
	}
	if export == nil {
		return authorizer.DecisionDeny, "the ClusterCachedResourceEndpointSlice or its APIExport does not exist", nil
	}
	reason := "system:masters may do everything"
	if !policy.Master(who, endpoint.Cluster) {
		var decision authorizer.Decision
		if decision, reason, err = e.Authorizer.Authorize(ctx, endpoint.Cluster, authorizer.AttributesRecord{
			User:            who,
			Verb:            attrs.GetVerb(),
			APIGroup:        apisv1alpha2.GroupName,
			APIVersion:      apisv1alpha2.SchemeGroupVersion.Version,
			Resource:        exports.Resource,
			Subresource:     "content",
			Name:            export.Name,
			ResourceRequest: true,
		}); decision != authorizer.DecisionAllow {
			return authorizer.DecisionDeny, "no access to the content of the APIExport: " + reason, err
		}
	}
	if !single || !attrs.IsResourceRequest() {
		return authorizer.DecisionAllow, reason, nil
	}
	bound, err := e.boundBy(ctx, consumer, endpoint, export, schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()})
	if err != nil {
		return authorizer.DecisionDeny, "what the consumer has bound could not be read", err
	}
	if bound == nil {
		return authorizer.DecisionDeny, "the consumer has not bound the resource from the APIExport", nil
	}
	return authorizer.DecisionAllow, reason, nil
}

// boundBy returns what consumer has bound as gr from export, if export serves it through the slice of endpoint; nil otherwise.
func (e *Endpoint) boundBy(ctx context.Context, consumer logicalcluster.Name, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, gr schema.GroupResource) (*catalog.Served, error) {
	if !refersTo(offered(export, gr), endpoint) {
		return nil, nil
	}
	served, err := serve.Lookup(ctx, e.Catalog, consumer, gr, func(r *catalog.Resource) bool { return r.Virtual })
	if err != nil || served == nil || served.Source.Export != client.KeyOf(export) {
		return nil, err
	}
	return served, nil
}

// refersTo reports whether virtual storage, which may be nil, refers to the slice of endpoint.
func refersTo(storage *apisv1alpha2.ResourceSchemaStorageVirtual, endpoint virtual.Endpoint) bool {
	return storage != nil && apisv1alpha2.IsCached(&storage.Reference) && storage.Reference.Name == endpoint.Name
}

// Target implements virtual.Workspace.
func (e *Endpoint) Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error) {
	ctx := req.Context()
	endpoint, ok := virtual.FromContext(ctx)
	if !ok || endpoint.Kind != Name {
		return serve.Target{}, apistatus.Internal(errNoEndpoint)
	}
	consumer, single := logicalcluster.FromContext(ctx)
	if !single {
		return serve.Target{}, apierrors.NewBadRequest("Wildcard request not supported")
	}
	export, err := e.exportOf(ctx, endpoint)
	if err != nil {
		return serve.Target{}, apistatus.Internal(err)
	}
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	served, err := e.boundBy(ctx, consumer, endpoint, export, gr)
	switch {
	case err != nil:
		return serve.Target{}, apistatus.Internal(err)
	case served == nil:
		return serve.Target{}, apistatus.NotServed()
	}
	return e.Bound(req, info, consumer, served)
}

// Discovery implements virtual.Workspace: the resources that the APIExport serves through the slice, for reading.
func (e *Endpoint) Discovery(ctx context.Context) (http.Handler, error) {
	endpoint, ok := virtual.FromContext(ctx)
	if !ok || endpoint.Kind != Name {
		return nil, apistatus.Internal(errNoEndpoint)
	}
	export, err := e.exportOf(ctx, endpoint)
	switch {
	case err != nil:
		return nil, apistatus.Internal(err)
	case export == nil:
		return nil, apistatus.NotServed()
	}
	var shown []*catalog.Resource
	for i := range export.Spec.Resources {
		if resource := &export.Spec.Resources[i]; refersTo(resource.Storage.Virtual, endpoint) {
			one, err := e.described(ctx, endpoint.Cluster, export.Status.IdentityHash, resource)
			if err != nil {
				return nil, apistatus.Internal(err)
			}
			if one != nil {
				shown = append(shown, one)
			}
		}
	}
	return e.discovery.HandlerWithoutBase(catalog.NewSnapshot(shown...), endpoint.Cluster), nil
}

// described returns what discovery shows of an offered resource; nil if its schema does not exist.
func (e *Endpoint) described(ctx context.Context, provider logicalcluster.Name, identity string, offer *apisv1alpha2.ResourceSchema) (*catalog.Resource, error) {
	key := client.Key{Cluster: provider, Name: offer.Schema}
	source, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, e.Cached, e.Live, schemas, key)
	if err != nil || source == nil || source.Spec.Group != offer.Group || source.Spec.Names.Plural != offer.Name {
		return nil, err
	}
	definition, err := crd.FromSchema(source)
	if err != nil {
		return nil, fmt.Errorf("reading APIResourceSchema %s: %w", key, err)
	}
	known, err := e.Catalog.ResourceOf(definition, identity)
	if err != nil {
		return nil, fmt.Errorf("preparing the schema of %s.%s: %w", offer.Name, offer.Group, err)
	}
	shown := *known
	shown.Verbs = readVerbs
	return &shown, nil
}
