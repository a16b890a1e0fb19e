package server

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/managedfields"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/annex-dev/annex/registry/annex"
	"github.com/annex-dev/annex/registry/apiextensions"
	"github.com/annex-dev/annex/registry/apis"
	"github.com/annex-dev/annex/registry/authentication"
	"github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/registry/coordination"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/registry/corekcp"
	"github.com/annex-dev/annex/registry/events"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac"
	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/registry/topology"
)

// newGroups returns the storage of every API group that the process itself stores.
func (s *Server) newGroups(c Config) ([]*group.Group, error) {
	getter := c.Backend.RESTOptionsGetter()
	external := func() string { return c.Addresses.External }
	virtual := func() string { return c.Addresses.Virtual }
	coreGroup, err := core.NewGroup(s.scheme, getter)
	if err != nil {
		return nil, fmt.Errorf("building REST storage: %w", err)
	}
	groups := []*group.Group{coreGroup}
	for _, build := range []func() (*group.Group, error){
		func() (*group.Group, error) { return events.NewGroup(coreGroup) },
		func() (*group.Group, error) { return coordination.NewGroup(s.scheme, getter) },
		func() (*group.Group, error) { return rbac.NewGroup(s.scheme, getter, s.Evaluator) },
		func() (*group.Group, error) { return authorization.NewGroup(s.authorizer, s.Evaluator) },
		func() (*group.Group, error) { return authentication.NewGroup(s.authentication.Authenticator) },
		func() (*group.Group, error) { return apiextensions.NewGroup(s.scheme, getter) },
		func() (*group.Group, error) {
			return tenancy.NewGroup(s.scheme, getter, s.urls())
		},
		func() (*group.Group, error) { return corekcp.NewGroup(s.scheme, getter, external) },
		func() (*group.Group, error) { return topology.NewGroup(s.scheme, getter) },
		func() (*group.Group, error) { return apis.NewGroup(s.scheme, getter, virtual) },
		func() (*group.Group, error) { return annex.NewGroup(s.scheme, getter) },
	} {
		g, err := build()
		if err != nil {
			return nil, fmt.Errorf("building REST storage: %w", err)
		}
		groups = append(groups, g)
	}
	if err := kinds.All.Check(groups); err != nil {
		return nil, fmt.Errorf("building REST storage: %w", err)
	}
	return groups, nil
}

// install serves the groups on the stock server and returns what tracks managed fields of their types.
func (s *Server) install(groups []*group.Group) (map[string]managedfields.TypeConverter, error) {
	converters := map[string]managedfields.TypeConverter{}
	for _, g := range groups {
		info := genericapiserver.NewDefaultAPIGroupInfo(g.Name, s.scheme.Scheme, s.scheme.ParameterCodec, s.scheme.Codecs)
		info.VersionedResourcesStorageMap = g.Versions
		install := func() error { return s.Generic.InstallAPIGroup(&info) }
		if g.Name == "" {
			install = func() error { return s.Generic.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info) }
		}
		if err := install(); err != nil {
			return nil, fmt.Errorf("installing API group %q: %w", g.Name, err)
		}
		converter, err := managedfields.NewTypeConverter(info.StaticOpenAPISpec, false)
		if err != nil {
			return nil, fmt.Errorf("reading the OpenAPI models of group %q: %w", g.Name, err)
		}
		converters[g.Name] = converter
	}
	return converters, nil
}
