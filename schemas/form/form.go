package form

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	structuraldefaulting "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	schemaobjectmeta "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	structuralpruning "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/schemas/crd"
)

// Schemas are the schemas of the versions of one definition. They do not change, and many goroutines may use them.
type Schemas struct {
	keepsUnknown bool
	versions     map[string]*structuralschema.Structural
}

// New returns the schema of each version that has one, with defaults that are pruned, as the stock handler uses them.
func New(definition *apiextensionsv1.CustomResourceDefinition) (*Schemas, error) {
	all, err := crd.Structural(definition)
	if err != nil {
		return nil, err
	}
	for version, s := range all {
		s = s.DeepCopy() // it shares its defaults with the definition
		if err := structuraldefaulting.PruneDefaults(s); err != nil {
			return nil, fmt.Errorf("pruning the defaults of version %s: %w", version, err)
		}
		all[version] = s
	}
	return &Schemas{keepsUnknown: definition.Spec.PreserveUnknownFields, versions: all}, nil
}

// Of returns the schema of a version, which must not be changed; nil for a version without one.
func (s *Schemas) Of(version string) *structuralschema.Structural { return s.versions[version] }

// Stored makes of an object that was decoded as it is stored what the stock handler makes of it before it converts it. Metadata that is
// invalid, which older rules may have let through, is removed.
func (s *Schemas) Stored(obj *unstructured.Unstructured) error {
	if err := s.coerce(obj, true); err != nil {
		return err
	}
	s.Default(obj)
	return nil
}

// Converted makes of an object that was converted what the stock handler makes of it: unknown fields go, and so do nulls without a default.
// Metadata that is invalid is an error.
func (s *Schemas) Converted(obj *unstructured.Unstructured) error { return s.coerce(obj, false) }

// Default adds the defaults of the version of obj.
func (s *Schemas) Default(obj *unstructured.Unstructured) {
	structuraldefaulting.Default(obj.Object, s.versions[obj.GroupVersionKind().Version])
}

// coerce gives obj the form that its schema describes. For a stored object it drops metadata that is invalid and adds a generation.
func (s *Schemas) coerce(obj *unstructured.Unstructured, stored bool) error {
	gvk := obj.GroupVersionKind()
	meta, found, _, err := schemaobjectmeta.GetObjectMetaWithOptions(obj.Object, schemaobjectmeta.ObjectMetaOptions{DropMalformedFields: stored})
	if err != nil {
		return err
	}
	of := s.versions[gvk.Version]
	if !s.keepsUnknown {
		structuralpruning.PruneWithOptions(obj.Object, of, true, structuralschema.UnknownFieldPathOptions{})
		structuraldefaulting.PruneNonNullableNullsWithoutDefaults(obj.Object, of)
	}
	if err, _ := schemaobjectmeta.CoerceWithOptions(nil, obj.Object, of, false, schemaobjectmeta.CoerceOptions{DropInvalidFields: stored}); err != nil {
		return err
	}
	if stored && found && meta.Generation == 0 {
		meta.Generation = 1
	}
	obj.SetGroupVersionKind(gvk)
	if !found {
		return nil
	}
	return schemaobjectmeta.SetObjectMeta(obj.Object, meta)
}
