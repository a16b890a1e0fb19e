package schema

import (
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// Converts reports whether a webhook or an APIConversion converts the objects of a resource that is not Typed, which may fail.
func Converts(resource *catalog.Resource) bool {
	return convertsByWebhook(resource.CRD) || hasRules(resource.CRD)
}

// Stored returns the storage of those objects of a resource that are stored in version; nil if the resource has no such version. It never
// converts and knows no schema, so it can read, delete and release objects that cannot be converted, and those of the version that is
// stored today. Only the server itself uses it.
func (h *Handlers) Stored(resource *catalog.Resource, cluster logicalcluster.Name, version string) (Storage, error) {
	if !slices.ContainsFunc(resource.CRD.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == version }) {
		return nil, nil
	}
	plain := *resource
	plain.CRD = onlyVersion(resource.CRD, version)
	e, err := h.get(resource.Hash+storedSuffix+version, &plain, cluster, func() (*entry, error) {
		return h.build(plain.CRD, "", h.config.Webhooks, growth{}, nil, func(next stamping, _ *apiextensionsv1.CustomResourceDefinition, _ func() (Storage, error)) admission.Interface {
			return next
		})
	})
	if err != nil {
		return nil, err
	}
	return e.storage()
}

// storedSuffix tells the keys of handlers of one stored version from hashes.
const storedSuffix = " stored as "

// onlyVersion returns the definition of the same resource in which version is the only one, and takes everything as it is.
func onlyVersion(definition *apiextensionsv1.CustomResourceDefinition, version string) *apiextensionsv1.CustomResourceDefinition {
	one := withoutSchema(definition)
	one.Spec.Versions = slices.DeleteFunc(one.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name != version })
	for i := range one.Spec.Versions {
		one.Spec.Versions[i].Storage, one.Spec.Versions[i].Served = true, true
	}
	one.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter}
	return one
}

// Convert returns objects of a resource, as its storage returns them and which are changed, in version.
func (h *Handlers) Convert(resource *catalog.Resource, cluster logicalcluster.Name, objects []*unstructured.Unstructured, version string) ([]*unstructured.Unstructured, error) {
	to := apischema.GroupVersion{Group: resource.Group, Version: version}
	if !Converts(resource) {
		for _, obj := range objects {
			obj.SetAPIVersion(to.String())
		}
		return objects, nil
	}
	e, err := h.entry(resource, cluster)
	if err != nil {
		return nil, err
	}
	other := slices.DeleteFunc(slices.Clone(objects), func(obj *unstructured.Unstructured) bool { return obj.GetAPIVersion() == to.String() })
	if len(other) == 0 {
		return objects, nil
	}
	converted, err := e.converter.convert(other, to)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(objects)
	for i := range all {
		if all[i].GetAPIVersion() != to.String() {
			all[i], converted = converted[0], converted[1:]
		}
	}
	return all, nil
}
