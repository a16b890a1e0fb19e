package inprocess

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/kube-openapi/pkg/builder3"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"

	"github.com/annex-dev/annex/registry/group"
)

// NewTypeConverter returns what tracks managed fields of all types that the groups serve. The stock server makes one for each
// group that it installs, in the same way, but only then and for itself.
func NewTypeConverter(types *runtime.Scheme, openAPI *openapicommon.OpenAPIV3Config, groups []*group.Group) (managedfields.TypeConverter, error) {
	var names []string
	for _, g := range groups {
		for version, served := range g.Versions {
			for resource, storage := range served {
				kind, err := endpoints.GetResourceKind(schema.GroupVersion{Group: g.Name, Version: version}, storage, types)
				if err != nil {
					return nil, fmt.Errorf("finding the kind of %s in group %q: %w", resource, g.Name, err)
				}
				sample, err := types.New(kind)
				if err != nil {
					return nil, fmt.Errorf("making a %s: %w", kind, err)
				}
				names = append(names, util.GetCanonicalTypeName(sample))
			}
		}
	}
	models, err := builder3.BuildOpenAPIDefinitionsForResources(openAPI, names...)
	if err != nil {
		return nil, fmt.Errorf("building the OpenAPI models of what is stored: %w", err)
	}
	converter, err := managedfields.NewTypeConverter(models, false)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI models of what is stored: %w", err)
	}
	return converter, nil
}
