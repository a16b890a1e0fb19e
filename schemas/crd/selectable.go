package crd

import (
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Checkable returns definition in a form that upstream's validation can take, and what is wrong with the rest: paths of selectable
// fields without a structural schema, on which upstream's validation panics (v0.37,
// ValidateCustomResourceSelectableFields with a nil schema). definition itself is not changed, and returned when nothing is wrong.
func Checkable(definition *apiextensions.CustomResourceDefinition) (*apiextensions.CustomResourceDefinition, field.ErrorList) {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	out := definition
	refuse := func(path *field.Path) *apiextensions.CustomResourceDefinition {
		errs = append(errs, field.Invalid(path.Child("selectableFields"), "", "may only be set together with a structural schema"))
		if out == definition {
			out = definition.DeepCopy()
		}
		return out
	}
	if followed(definition.Spec.SelectableFields) && definition.Spec.Validation != nil && !structural(definition.Spec.Validation) {
		refuse(spec).Spec.SelectableFields = nil
	}
	for i := range definition.Spec.Versions {
		v := &definition.Spec.Versions[i]
		if followed(v.SelectableFields) && v.Schema != nil && !structural(v.Schema) {
			refuse(spec.Child("versions").Index(i)).Spec.Versions[i].SelectableFields = nil
		}
	}
	return out, errs
}

// followed reports whether upstream's validation looks for a field in the schema. It refuses what is no path before it does.
func followed(all []apiextensions.SelectableField) bool {
	return slices.ContainsFunc(all, func(f apiextensions.SelectableField) bool {
		return strings.HasPrefix(f.JSONPath, ".") || strings.HasPrefix(f.JSONPath, "[")
	})
}

func structural(validation *apiextensions.CustomResourceValidation) bool {
	schema, err := structuralschema.NewStructural(validation.OpenAPIV3Schema)
	return err == nil && schema != nil
}
