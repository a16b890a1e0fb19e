package inprocess

import (
	"errors"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	"github.com/annex-dev/annex/client"
)

// A controller changes the status and the metadata of a definition, and its spec may have tens of thousands of nodes. If it writes the
// very spec that it has read, that is neither copied nor converted nor compared: the stored one stays.

// withoutSpec returns a shallow copy of obj, a definition, without its spec.
func withoutSpec(obj client.Object) client.Object {
	bare := *obj.(*apiextensionsv1.CustomResourceDefinition)
	bare.Spec = apiextensionsv1.CustomResourceDefinitionSpec{}
	return &bare
}

// keepSpec gives updated the spec of old, if that is of the same revision.
func keepSpec(updated, old runtime.Object) error {
	to, from := updated.(*apiextensions.CustomResourceDefinition), old.(*apiextensions.CustomResourceDefinition)
	if to.ResourceVersion != from.ResourceVersion {
		return apierrors.NewConflict(apiextensions.Resource("customresourcedefinitions"), to.Name, errors.New(genericregistry.OptimisticLockErrorMsg))
	}
	to.Spec = from.Spec
	return nil
}

// servedWithSpec returns stored, a definition, as the served type. Its spec is that of written.
func servedWithSpec(r *resource, stored runtime.Object, written client.Object) (client.Object, error) {
	bare := *stored.(*apiextensions.CustomResourceDefinition)
	bare.Spec = apiextensions.CustomResourceDefinitionSpec{}
	obj, err := r.fromStorage(&bare)
	if err != nil {
		return nil, err
	}
	obj.(*apiextensionsv1.CustomResourceDefinition).Spec = written.(*apiextensionsv1.CustomResourceDefinition).Spec
	return obj, nil
}

// withoutSchemas returns a shallow copy of obj, a definition, without its schemas.
func withoutSchemas(obj runtime.Object) runtime.Object {
	bare := *obj.(*apiextensions.CustomResourceDefinition)
	bare.Spec.Validation = nil
	bare.Spec.Versions = slices.Clone(bare.Spec.Versions)
	for i := range bare.Spec.Versions {
		bare.Spec.Versions[i].Schema = nil
	}
	return &bare
}
