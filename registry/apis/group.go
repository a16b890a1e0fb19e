package apis

import (
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kind"
	"github.com/annex-dev/annex/registry/scheme"
)

const (
	v1alpha1 = "v1alpha1"
	v1alpha2 = "v1alpha2"
)

// NewGroup returns the storage of the group. External returns the address of the server as users see it, without a slash
// at the end, for example https://host:6443. The error says which store could not be set up.
func NewGroup(s *scheme.Scheme, getter generic.RESTOptionsGetter, external func() string) (*group.Group, error) {
	g := &group.Group{Name: apisv1alpha2.GroupName}
	for _, install := range []func(*group.Group, *scheme.Scheme, generic.RESTOptionsGetter) error{
		schemaKind().Install,
		endpointSliceKind(external).Install,
		exportKind().Install,
		bindingKind().Install,
	} {
		if err := install(g, s, getter); err != nil {
			return nil, err
		}
	}
	older, newer := g.Versions[v1alpha1], g.Versions[v1alpha2]

	older["apiresourceschemas"] = &schemaREST{REST: older["apiresourceschemas"].(*kind.REST)}
	systemSchemas(g.System["apiresourceschemas"])
	bindings := &bindingREST{REST: newer["apibindings"].(*kind.REST)}
	newer["apibindings"] = bindings
	older["apibindings"] = &olderBindingREST{bindingREST: bindings}
	older["apibindings/status"] = &olderStatusREST{StatusREST: newer["apibindings/status"].(*group.StatusREST)}

	exports := newer["apiexports"].(*kind.REST)
	table, err := olderExportTable()
	if err != nil {
		return nil, err
	}
	older["apiexports"] = &olderExportREST{REST: exports, table: table}
	older["apiexports/status"] = &olderStatusREST{StatusREST: newer["apiexports/status"].(*group.StatusREST)}
	return g, nil
}

var (
	_ rest.StandardStorage = &schemaREST{}
	_ rest.StandardStorage = &bindingREST{}
	_ rest.StandardStorage = &olderBindingREST{}
	_ rest.StandardStorage = &olderExportREST{}
	_ rest.Patcher         = &olderStatusREST{}
)

// apiVersion of the older version, as managed fields name it.
const olderAPIVersion = apisv1alpha1.GroupName + "/" + v1alpha1
