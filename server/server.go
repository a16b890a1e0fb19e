package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/content"
	"github.com/annex-dev/annex/registry/fresh"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/index"
	"github.com/annex-dev/annex/registry/rbac/policy"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/scheme"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/inprocess"
	"github.com/annex-dev/annex/server/router"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/apiexport"
	"github.com/annex-dev/annex/server/virtual/hostbinding"
)

// Server serves workspaces.
type Server struct {
	// Generic is the stock server underneath.
	Generic *genericapiserver.GenericAPIServer
	// Client reads and writes all clusters as the server itself.
	Client *inprocess.Client
	// Content lists and deletes what clusters store.
	Content *content.Content
	// Catalog knows what each cluster serves.
	Catalog *catalog.Catalog
	// Schemas serves custom resources by schema hash.
	Schemas *registryschema.Handlers
	// Index finds clusters by path.
	Index *index.Index
	// Evaluator decides by RBAC.
	Evaluator *policy.Evaluator

	config         Config
	scheme         *scheme.Scheme
	backend        *storage.Backend
	authentication *authentication.Authentication
	authorizer     authorizer.Authorizer
	limiter        *fairness.Limiter
	exports        *apiexport.Endpoint
	admission      admission.Interface
	bootstrapped   chan struct{}
	// projections knows what HostBindings project, and describes to a host all that it forwards.
	projections *hostbinding.Endpoint
	// hostVersions are the group versions that the host forwards whatever is projected; hostStatus says whether it can be reached.
	hostVersions []schema.GroupVersion
	hostStatus   hostStatus
	// routes is filled once what it routes to exists.
	routes router.Config
	// base are the resources that every cluster serves.
	base sets.Set[schema.GroupResource]
}

// New builds a server; nothing runs and nothing is read from storage before [Server.Run].
func New(c Config) (*Server, error) {
	s := &Server{config: c, scheme: c.Scheme, backend: c.Backend, Client: inprocess.New(), base: sets.New[schema.GroupResource](), bootstrapped: make(chan struct{})}
	s.Evaluator = policy.New(s.Client, s.gate(policy.Followed()...))
	s.Index = index.New(s.Client, s.gate(index.Followed()...))
	s.exports = apiexport.New(apiexport.Config{Cached: s.Client, Live: s.Client.Live(), Authorizer: s.Evaluator})
	s.Catalog = catalog.New(catalog.Config{Reader: s.Client, Live: s.Client.Live(), Typed: router.IsBound, Builtin: s.base.Has})
	s.projections = s.newProjections()
	if err := s.buildPolicies(); err != nil {
		return nil, err
	}
	if err := s.buildLimiter(); err != nil {
		return nil, err
	}
	groups, err := s.newGroups(c)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		s.addBase(g)
	}
	generic, err := s.genericConfig()
	if err != nil {
		return nil, err
	}
	s.Schemas, err = registryschema.New(registryschema.Config{
		RESTOptionsGetter:   c.Backend.CustomResources(),
		Admission:           s.admission,
		Authorizer:          s.authorizer,
		RequestTimeout:      c.RequestTimeout,
		MaxRequestBodyBytes: generic.MaxRequestBodyBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing custom resources: %w", err)
	}
	s.Generic, err = generic.Complete(nil).New("annex", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, fmt.Errorf("building the API server: %w", err)
	}
	converters, err := s.install(groups)
	if err != nil {
		return nil, err
	}
	if err := s.Client.Serve(inprocess.Config{Scheme: s.scheme.Scheme, Groups: groups, TypeConverters: converters, Admission: s.admission}); err != nil {
		return nil, err
	}
	s.Content = content.New(content.Config{Backend: c.Backend, Client: s.Client, Live: s.Client.Live(), Catalog: s.Catalog, Schemas: s.Schemas})
	if err := s.route(generic, groups); err != nil {
		return nil, err
	}
	return s, s.addHooks()
}

// gate returns a gate before the watch caches of the resources.
func (s *Server) gate(resources ...schema.GroupResource) *fresh.Gate {
	return fresh.New(func(ctx context.Context) (uint64, error) { return s.Client.CatchUp(ctx, resources...) })
}

// addBase notes what a group serves in every cluster.
func (s *Server) addBase(g *group.Group) {
	for _, storage := range g.Versions {
		for resource := range storage {
			if gr := (schema.GroupResource{Group: g.Name, Resource: resource}); !router.IsBound(gr) {
				s.base.Insert(gr)
			}
		}
	}
}

// route fills in where requests go.
func (s *Server) route(generic *genericapiserver.Config, groups []*group.Group) error {
	documents, err := discovery.New(discovery.Config{
		Container: s.Generic.Handler.GoRestfulContainer,
		OpenAPIV3: generic.OpenAPIV3Config,
		OpenAPIV2: generic.OpenAPIConfig,
		Bound:     router.IsBound,
		Codecs:    s.scheme.Codecs,
	})
	if err != nil {
		return fmt.Errorf("preparing discovery: %w", err)
	}
	i := slices.IndexFunc(groups, func(g *group.Group) bool { return g.Name == apisv1alpha1.GroupName })
	if err := s.exports.Serve(apiexport.Serving{
		Definitions: s.Catalog,
		Schemas:     s.Schemas,
		Group:       groups[i],
		Scheme:      s.scheme,
		OpenAPIV3:   generic.OpenAPIV3Config,
		OpenAPIV2:   generic.OpenAPIConfig,
		Typed:       router.IsBound,
		Version:     generic.EffectiveVersion.Info(),
	}); err != nil {
		return err
	}
	if s.config.Host != nil {
		if err := s.serveHost(generic, groups); err != nil {
			return err
		}
	}
	s.routes = router.Config{
		Catalog:   &hosting{Catalog: s.Catalog, hosts: s.isHostWorkspace},
		Clusters:  s.Index,
		Schemas:   s.Schemas,
		Discovery: documents,
		Virtual:   http.HandlerFunc(s.serveVirtual),
		Base:      s.base.Has,
		Codecs:    s.scheme.Codecs,
	}
	return nil
}

// serveVirtual serves requests for virtual endpoints of both kinds.
func (s *Server) serveVirtual(w http.ResponseWriter, r *http.Request) {
	if endpoint, ok := virtual.FromContext(r.Context()); ok && endpoint.Kind == virtual.HostBinding {
		s.projections.ServeHTTP(w, r)
		return
	}
	s.exports.ServeHTTP(w, r)
}

// Run serves until ctx ends, then drains and stops.
func (s *Server) Run(ctx context.Context) error {
	return s.Generic.PrepareRun().RunWithContext(ctx)
}
