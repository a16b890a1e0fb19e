package server

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/component-base/metrics/legacyregistry"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/cachekcp"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/content"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/server/admission/policy"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/conversion"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/inprocess"
	"github.com/annex-dev/annex/server/memory"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/apiexport"
	"github.com/annex-dev/annex/server/virtual/apiresourceschema"
	"github.com/annex-dev/annex/server/virtual/elsewhere"
	"github.com/annex-dev/annex/server/virtual/forward"
	"github.com/annex-dev/annex/server/virtual/hostbinding"
	"github.com/annex-dev/annex/server/virtual/lifecycle"
	"github.com/annex-dev/annex/server/virtual/mount"
	"github.com/annex-dev/annex/server/virtual/replication"
)

// endpoints is the fourth layer: what is served where, in clusters and in virtual workspaces.
type endpoints struct {
	// base are the resources that every cluster serves.
	base sets.Set[schema.GroupResource]
	// shown is the catalog with what only the host workspace serves.
	shown *hosting

	virtual virtual.List
	// exports are the virtual workspace of providers.
	exports *apiexport.Endpoint
	// initializing and terminating are the virtual workspaces of initializers and terminators.
	initializing, terminating *lifecycle.Endpoint
	// schemasOf shows consumers the schemas of what they have bound.
	schemasOf *apiresourceschema.Endpoint
	// mounts are what answers in workspaces without a logical cluster: those that are mounted, if that is enabled, and those that have lost theirs.
	mounts *mount.Endpoint
	// replication is the virtual workspace of what providers share for reading.
	replication *replication.Endpoint
	// elsewhere is what answers for virtual storage of others, and forwarder what sends requests to them and to mounts; it is nil if the operator
	// allows neither.
	elsewhere *elsewhere.Endpoint
	forwarder *forward.Forwarder
	// content is everything that is stored.
	content *content.Content
	// projections are the virtual workspace in the place of the host's own API groups; nil without a host.
	projections *hostbinding.Endpoint
	// authorizer decides about all requests, those for virtual workspaces included.
	authorizer authorizer.Authorizer
	// documents keeps those of discovery and OpenAPI.
	documents *discovery.Cache
	// schemas serves custom resources by schema hash.
	schemas *registryschema.Handlers
}

func newEndpoints(c Config, s *stores, i *indexes, p *policies) (*endpoints, error) {
	e := &endpoints{base: baseOf(p.groups), documents: discovery.NewCache(c.Memory.Documents)}
	e.shown = &hosting{Catalog: i.catalog, hosts: hosts(c.Host, s.paths)}
	exports, err := apiexport.New(apiexport.Config{
		Cached:      s.reader,
		Live:        s.reader.Live(),
		Authorizer:  i.evaluator,
		Activity:    s.paths,
		PathOf:      s.paths.PathOf,
		Definitions: i.catalog,
		Group:       s.apis,
		Scheme:      c.Scheme,
		OpenAPIV3:   s.openAPI.v3,
		OpenAPIV2:   s.openAPI.v2,
		IsBound:     kinds.All.IsBound,
		Changed:     i.watches.Recheck,
		Documents:   e.documents,
		MayClaim:    p.clusters.MayClaim,
		Virtual:     e.bound,

		IsStatusByServer: kinds.All.IsStatusByServer,
		Revision:         s.gate(apisv1alpha2.Resource("apibindings")).Wait,
		Capacity:         c.Memory.Offers,
	})
	if err != nil {
		return nil, err
	}
	// The virtual workspaces: one line for each.
	e.exports = exports
	stages := lifecycle.Config{
		Cached: s.reader, Live: s.reader.Live(), Authorizer: i.evaluator, Policy: p.clusters, Watches: i.watches, IsStatusByServer: kinds.All.IsStatusByServer,
	}
	e.initializing, e.terminating = lifecycle.NewInitializing(stages), lifecycle.NewTerminating(stages)
	e.schemasOf = apiresourceschema.New(apiresourceschema.Config{
		Cached: s.reader, Fresh: s.gate(apisv1alpha2.Resource("apibindings")).Wait, Policy: p.clusters, Resolver: i.index, Inactive: s.paths.Inactive,
	})
	e.replication = replication.New(replication.Config{
		Cached: s.reader, Live: s.reader.Live(), Authorizer: i.evaluator, Resolver: i.index, Catalog: i.catalog, Inactive: s.paths.Inactive, Changed: i.watches.Recheck,
	})
	if c.Mounts != nil {
		transport, err := forward.NewTransport(*c.Mounts, p.guard.DialContext)
		if err != nil {
			return nil, err
		}
		e.forwarder = &forward.Forwarder{Transport: transport, MaxBodyBytes: maxRequestBodyBytes, Codecs: c.Scheme.Codecs}
	}
	cachekcp.ServeCounts(s.cache, e.replication.Count(s.backend))
	e.mounts = mount.New(mount.Config{
		Cached: s.reader, Live: s.reader.Live(), Paths: i.index, Policy: p.clusters, Inactive: s.paths.Inactive, Watches: i.watches,
		Forwarder: e.forwarder, Codecs: c.Scheme.Codecs,
	})
	all := []virtual.Workspace{exports, e.initializing, e.terminating, e.schemasOf, e.replication, e.mounts}
	if c.Host != nil {
		e.projections = newProjections(c, s, i, p, e)
		all = append(all, e.projections)
	}
	if e.virtual, err = virtual.NewList(append(all, c.Virtual...)...); err != nil {
		return nil, err
	}
	if e.authorizer, err = p.clusters.WithVirtual(e.virtual); err != nil {
		return nil, err
	}
	e.schemas, err = registryschema.New(registryschema.Config{
		RESTOptionsGetter:   c.Backend.CustomResources(),
		Admission:           p.admission,
		Authorizer:          e.authorizer,
		RequestTimeout:      c.RequestTimeout,
		ConversionTimeout:   c.ConversionTimeout,
		MaxRequestBodyBytes: maxRequestBodyBytes,
		Webhooks:            conversion.New(p.guard, c.Outbound.HostServices),
		Capacity:            c.Memory.Handlers,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing custom resources: %w", err)
	}
	e.content = content.New(content.Config{
		Backend: c.Backend, Client: p.client, Live: p.client.Live(), Catalog: i.catalog, Schemas: e.schemas, Admission: p.admission, User: inprocess.Itself(),
	})
	e.elsewhere = elsewhere.New(elsewhere.Config{
		Cached: s.reader, Live: s.reader.Live(), Content: e.content, Inactive: s.paths.Inactive, Changed: i.watches.Recheck, Itself: authentication.Itself,
		Forwarder: e.forwarder,
	})
	p.dynamic.Serve(policy.Custom{Catalog: i.catalog, Schemas: e.schemas})
	i.forget = append(i.forget, e.schemas.Forget, e.documents.Forget, p.dynamic.Forget)
	return e, memory.NewMetrics(map[string]memory.Cache{
		"handlers":  e.schemas,
		"documents": e.documents,
		"snapshots": i.catalog,
		"hashes":    memory.CacheFunc(i.catalog.HashBytes),
		"exports":   i.maximal,
		"policies":  i.evaluator,
		"webhooks":  p.webhooks,
		"admission": p.dynamic,
		"offers":    exports,
		"issuers":   p.issuers,
		"decoded":   memory.CacheFunc(c.Backend.DecodedBytes),
		"specs":     memory.CacheFunc(c.Backend.SpecBytes),
		"listed":    memory.CacheFunc(c.Backend.ListedBytes),
		"lists":     memory.CacheFunc(c.Backend.ListBytes),
		"rendered":  memory.CacheFunc(c.Backend.RenderedBytes),
	}).Register(legacyregistry.CustomRegister)
}

// bound returns the target of a request of consumer for a bound resource with virtual storage. Errors are API statuses.
func (e *endpoints) bound(req *http.Request, info *genericapirequest.RequestInfo, consumer logicalcluster.Name, served *catalog.Served) (serve.Target, error) {
	if served.Verbs != nil { // objects that are shared for reading
		return e.replication.Bound(req, info, consumer, served)
	}
	return e.elsewhere.Bound(req, info, consumer, served)
}

// baseOf returns what the groups serve in every cluster.
func baseOf(groups []*group.Group) sets.Set[schema.GroupResource] {
	base := sets.New[schema.GroupResource]()
	for _, g := range groups {
		for _, storage := range g.Versions {
			for resource := range storage {
				if gr := (schema.GroupResource{Group: g.Name, Resource: resource}); kinds.All.IsEverywhere(gr) {
					base.Insert(gr)
				}
			}
		}
	}
	return base
}

// newProjections returns what the host shows of workspaces in the place of API groups of its own.
func newProjections(c Config, s *stores, i *indexes, p *policies, e *endpoints) *hostbinding.Endpoint {
	return hostbinding.New(hostbinding.Config{
		Cached:   s.reader,
		Live:     s.reader.Live(),
		Writer:   p.client,
		As:       func(u user.Info) client.Writer { return p.client.As(u) },
		Clusters: i.index,
		Catalog:  i.catalog,
		Policy:   p.clusters,
		Hosts:    e.shown.hosts,
		IsBound:  kinds.All.IsBound,
		Own:      hostResources(),
		Changed:  i.watches.Recheck,
		Info:     &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")},
		Codecs:   c.Scheme.Codecs,
	})
}
