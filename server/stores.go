package server

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/openapi"
	"github.com/annex-dev/annex/registry/admissionregistration"
	"github.com/annex-dev/annex/registry/annex"
	"github.com/annex-dev/annex/registry/apiextensions"
	"github.com/annex-dev/annex/registry/apis"
	"github.com/annex-dev/annex/registry/cachekcp"
	"github.com/annex-dev/annex/registry/certificates"
	"github.com/annex-dev/annex/registry/coordination"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/registry/corekcp"
	"github.com/annex-dev/annex/registry/events"
	"github.com/annex-dev/annex/registry/fresh"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/index"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/registry/topology"
	"github.com/annex-dev/annex/server/inprocess"
)

// stores is the first layer: everything that is stored, and how the server itself reads it. Nobody decides about users yet.
type stores struct {
	openAPI openAPI
	// paths are shown in objects, so they are there before the index that fills them, which reads the stores.
	paths *index.Paths
	urls  tenancy.URLs
	// core is the core group, which is in first.
	core *group.Group
	// first and rest are the groups that are served as they are stored, before and after rbac and what is not stored.
	first, rest []*group.Group
	rbac        *rbac.Stores
	// apis is the group apis.kcp.io, and tenancy the group tenancy.kcp.io; both are in rest.
	apis, tenancy *group.Group
	// cache is the group cache.kcp.io, which is in rest.
	cache *group.Group
	// annex is the group annex.dev, which is in rest.
	annex *group.Group

	backend   *storage.Backend
	reader    *inprocess.Reader
	converter managedfields.TypeConverter
}

// newStores builds the REST storage of the API groups that are stored.
func newStores(c Config) (*stores, error) {
	s := &stores{openAPI: newOpenAPI(c.Scheme), paths: index.NewPaths(), backend: c.Backend}
	s.urls = tenancy.URLs{
		External: func() string { return c.Addresses.External }, Virtual: func() string { return c.Addresses.Virtual }, PathOf: s.paths.PathOf,
	}
	getter := c.Backend.RESTOptionsGetter()
	var err error
	if s.core, err = core.NewGroup(c.Scheme, getter); err != nil {
		return nil, fmt.Errorf("building REST storage: %w", err)
	}
	if s.rbac, err = rbac.NewStores(c.Scheme, getter); err != nil {
		return nil, fmt.Errorf("building REST storage: %w", err)
	}
	s.first, err = build(
		func() (*group.Group, error) { return s.core, nil },
		func() (*group.Group, error) { return events.NewGroup(s.core) },
		func() (*group.Group, error) { return coordination.NewGroup(c.Scheme, getter) },
	)
	if err != nil {
		return nil, err
	}
	s.rest, err = build(
		func() (*group.Group, error) { return admissionregistration.NewGroup(c.Scheme, getter) },
		func() (*group.Group, error) { return certificates.NewGroup(c.Scheme, getter) },
		func() (*group.Group, error) { return apiextensions.NewGroup(c.Scheme, getter) },
		func() (g *group.Group, err error) {
			s.tenancy, err = tenancy.NewGroup(c.Scheme, getter, s.urls)
			return s.tenancy, err
		},
		func() (*group.Group, error) { return corekcp.NewGroup(c.Scheme, getter, s.urls.External) },
		func() (*group.Group, error) { return topology.NewGroup(c.Scheme, getter) },
		func() (g *group.Group, err error) {
			s.apis, err = apis.NewGroup(c.Scheme, getter, s.urls.Virtual)
			return s.apis, err
		},
		func() (g *group.Group, err error) {
			s.cache, err = cachekcp.NewGroup(c.Scheme, getter, s.urls.Virtual)
			return s.cache, err
		},
		func() (g *group.Group, err error) {
			s.annex, err = annex.NewGroup(c.Scheme, getter, s.urls.External)
			return s.annex, err
		},
	)
	if err != nil {
		return nil, err
	}
	own := slices.Concat(s.first, []*group.Group{s.rbac.Unguarded()}, s.rest)
	if s.reader, err = inprocess.NewReader(c.Scheme.Scheme, own); err != nil {
		return nil, err
	}
	s.converter, err = inprocess.NewTypeConverter(c.Scheme.Scheme, s.openAPI.v3, own)
	return s, err
}

// gate holds views of resources back until their watch caches are up to date, and knows in which clusters nothing was written.
type gate struct {
	*fresh.Gate
	backend   *storage.Backend
	resources []schema.GroupResource
}

// gate returns a gate before the watch caches of the resources.
func (s *stores) gate(resources ...schema.GroupResource) gate {
	wait := func(ctx context.Context) (uint64, error) { return s.backend.CatchUp(ctx, resources...) }
	return gate{Gate: fresh.New(wait), backend: s.backend, resources: resources}
}

// Unchanged implements view.Fresh.
func (g gate) Unchanged(cluster logicalcluster.Name, since, until uint64) bool {
	return g.backend.Unchanged(cluster, since, until, g.resources...)
}

// build returns the groups that the functions make, in their order.
func build(groups ...func() (*group.Group, error)) ([]*group.Group, error) {
	var built []*group.Group
	for _, build := range groups {
		g, err := build()
		if err != nil {
			return nil, fmt.Errorf("building REST storage: %w", err)
		}
		built = append(built, g)
	}
	return built, nil
}

// openAPI describes the types of the process.
type openAPI struct {
	v2 *openapicommon.Config
	v3 *openapicommon.OpenAPIV3Config
}

func newOpenAPI(types *kinds.Scheme) openAPI {
	namer := apiopenapi.NewDefinitionNamer(external(types.Scheme))
	o := openAPI{
		v2: genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer),
		v3: genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer),
	}
	// As the stock server would complete them, were it the first to use them.
	version, _, _ := strings.Cut(effectiveVersion().EmulationVersion().String(), "-")
	for _, info := range []*spec.Info{o.v2.Info, o.v3.Info} {
		info.Title, info.Version = "Annex", version
	}
	// Every request may be answered with this, as the stock server says where it describes how clients authenticate.
	const unauthorized = "Unauthorized"
	o.v2.CommonResponses = map[int]spec.Response{http.StatusUnauthorized: {ResponseProps: spec.ResponseProps{Description: unauthorized}}}
	o.v3.CommonResponses = map[int]*spec3.Response{http.StatusUnauthorized: {ResponseProps: spec3.ResponseProps{Description: unauthorized}}}
	return o
}

// external returns a scheme with the versions of s that clients may know. Kinds have no internal twin, so that the document would
// give the version __internal to their types too.
func external(s *runtime.Scheme) *runtime.Scheme {
	out := runtime.NewScheme()
	for kind, typ := range s.AllKnownTypes() {
		if kind.Version == runtime.APIVersionInternal {
			continue
		}
		if object, ok := reflect.New(typ).Interface().(runtime.Object); ok {
			out.AddKnownTypeWithName(kind, object)
		}
	}
	return out
}
