package apis

import (
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

const (
	v1alpha1 = "v1alpha1"
	v1alpha2 = "v1alpha2"
)

// NewGroup returns the storage of the group. External returns the address of the server as users see it, without a slash
// at the end, for example https://host:6443. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter, external func() string) (*group.Group, error) {
	g, err := kinds.NewGroup(apisv1alpha2.GroupName, s, getter, schemaKind(), conversionKind(), endpointSliceKind(external), exportKind(), bindingKind())
	if err != nil {
		return nil, err
	}
	older, newer := g.Versions[v1alpha1], g.Versions[v1alpha2]

	older["apiresourceschemas"] = &schemaREST{REST: older["apiresourceschemas"].(*kinds.REST)}
	systemSchemas(g.System["apiresourceschemas"])
	bindings := &bindingREST{REST: newer["apibindings"].(*kinds.REST)}
	newer["apibindings"], older["apibindings"] = bindings, bindings
	older["apiexports"], err = newOlderExportREST(newer["apiexports"].(*kinds.REST))
	return g, err
}

var (
	_ rest.StandardStorage = &schemaREST{}
	_ rest.StandardStorage = &bindingREST{}
	_ rest.StandardStorage = &olderExportREST{}
)
