package apiexport

import (
	"fmt"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// defaultMinRequestTimeout is how long a watch lasts at least, as in stock servers.
const defaultMinRequestTimeout = 30 * time.Minute

// readOnlyBindings is the storage of apibindings without what writes.
type readOnlyBindings struct {
	rest.Storage
	rest.Scoper
	rest.SingularNameProvider
	rest.CategoriesProvider
	rest.Getter
	rest.Lister
	rest.Watcher
}

// fullStorage is what registry/apis serves apibindings with.
type fullStorage interface {
	rest.Storage
	rest.Scoper
	rest.SingularNameProvider
	rest.CategoriesProvider
	rest.Getter
	rest.Lister
	rest.Watcher
}

// newBindingsContainer returns a container that serves apibindings in all of their versions for reading. What it holds is
// also what discovery shows of them.
func newBindingsContainer(c Config) (*restful.Container, error) {
	container := restful.NewContainer()
	container.Router(restful.CurlyRouter{})
	versions := c.Scheme.Scheme.PrioritizedVersionsForGroup(bindings.Group)
	group := metav1.APIGroup{Name: bindings.Group}
	served := map[string][]string{}
	for _, version := range versions {
		served[bindings.Resource] = append(served[bindings.Resource], version.String())
	}
	for _, version := range versions {
		storage, ok := c.Group.Versions[version.Version][bindings.Resource].(fullStorage)
		if !ok {
			return nil, fmt.Errorf("the storage of %s in %s does not list and watch", bindings.Resource, version)
		}
		if err := installBindings(container, c, version, storage, served); err != nil {
			return nil, err
		}
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: version.String(), Version: version.Version})
	}
	if len(group.Versions) == 0 {
		return nil, fmt.Errorf("the scheme has no version of %s", bindings.Group)
	}
	group.PreferredVersion = group.Versions[0]
	container.Add(discovery.NewAPIGroupHandler(c.Scheme.Codecs, group).WebService())
	return container, nil
}

func installBindings(container *restful.Container, c Config, version schema.GroupVersion, storage fullStorage, served map[string][]string) error {
	types := c.Scheme.Scheme
	api := &endpoints.APIGroupVersion{
		Root:                        genericapiserver.APIGroupPrefix,
		GroupVersion:                version,
		AllServedVersionsByResource: served,
		Storage: map[string]rest.Storage{
			bindings.Resource: &readOnlyBindings{storage, storage, storage, storage, storage, storage, storage},
		},
		ParameterCodec:             c.Scheme.ParameterCodec,
		Serializer:                 c.Scheme.Codecs,
		Creater:                    types,
		Convertor:                  types,
		ConvertabilityChecker:      types,
		UnsafeConvertor:            runtime.UnsafeObjectConvertor(types),
		Defaulter:                  types,
		Typer:                      types,
		Namer:                      runtime.Namer(meta.NewAccessor()),
		EquivalentResourceRegistry: runtime.NewEquivalentResourceRegistry(),
		MinRequestTimeout:          c.MinRequestTimeout,
		// Required, though nothing is written here.
		TypeConverter: managedfields.NewDeducedTypeConverter(),
	}
	if _, _, err := api.InstallREST(container); err != nil {
		return fmt.Errorf("installing %s in %s: %w", bindings.Resource, version, err)
	}
	return nil
}
