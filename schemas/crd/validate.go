package crd

import (
	"context"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// Validate returns what is wrong with the resource that schema describes, with field paths of the APIResourceSchema. It is
// as strict as the creation of the CustomResourceDefinition would be. It compiles CEL rules: a large schema takes some
// milliseconds. What is special to an APIResourceSchema - its name, say - is checked by schemas/validation.
func Validate(ctx context.Context, schema *apisv1alpha1.APIResourceSchema) field.ErrorList {
	versions := field.NewPath("spec", "versions")
	var errs field.ErrorList
	for i, v := range schema.Spec.Versions {
		if _, err := ParseSchema(v.Schema); err != nil {
			errs = append(errs, field.Invalid(versions.Index(i).Child("schema"), shorten(v.Schema.Raw), err.Error()))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	crd, err := FromSchema(schema)
	if err != nil {
		return field.ErrorList{field.InternalError(versions, err)}
	}
	internal := &apiextensions.CustomResourceDefinition{}
	// The scope is for functions that convert with the help of a scheme; none of these does.
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("spec"), schema.Name, err.Error())}
	}
	if _, errs := CheckLimits(internal); len(errs) > 0 {
		for _, e := range errs {
			e.Field = fieldOfSchema(e.Field)
		}
		return errs // the rest would cost too much
	}
	perVersion := spreadSchema(&internal.Spec)
	internal, found := Checkable(internal)
	for _, e := range append(found, apiextensionsvalidation.ValidateCustomResourceDefinition(ctx, internal)...) {
		// Upstream requires a dot in every group. kcp allows some groups without a dot; schemas/validation checks them.
		if e.Field == "spec.group" && schema.Spec.Group != "" && !strings.Contains(schema.Spec.Group, ".") {
			continue
		}
		if perVersion && strings.Contains(e.Detail, "per-version schemas may not all be set to identical values") {
			continue
		}
		e.Field = fieldOfSchema(e.Field)
		errs = append(errs, e)
	}
	return errs
}

// spreadSchema puts the schema that all versions share back into each of them when they differ in their selectable fields,
// and reports whether it did. The conversion to the internal type moves an equal schema out of the versions, and upstream's
// validation then refuses the selectable fields of a version because the version has no schema.
func spreadSchema(spec *apiextensions.CustomResourceDefinitionSpec) bool {
	differ := false
	for _, v := range spec.Versions {
		differ = differ || len(v.SelectableFields) > 0
	}
	if !differ || spec.Validation == nil {
		return false
	}
	for i := range spec.Versions {
		spec.Versions[i].Schema = spec.Validation.DeepCopy()
	}
	spec.Validation = nil
	return true
}

// fieldOfSchema returns the field of an APIResourceSchema for a field of a CustomResourceDefinition.
func fieldOfSchema(path string) string {
	path = strings.Replace(path, ".schema.openAPIV3Schema", ".schema", 1)
	if strings.Contains(path, "additionalPrinterColumns") {
		path = strings.Replace(path, ".JSONPath", ".jsonPath", 1) // as in the internal type
	}
	if rest, ok := strings.CutPrefix(path, "spec.conversion."); ok { // as in the internal type
		rest = strings.Replace(rest, "webhookClientConfig", "webhook.clientConfig", 1)
		return "spec.conversion." + strings.Replace(rest, "conversionReviewVersions", "webhook.conversionReviewVersions", 1)
	}
	// If there is only one version, upstream reports its faults for the whole spec.
	for _, name := range []string{"validation.openAPIV3Schema", "validation"} {
		if rest, ok := strings.CutPrefix(path, "spec."+name); ok {
			return "spec.versions[0].schema" + rest
		}
	}
	for _, name := range []string{"subresources", "additionalPrinterColumns", "selectableFields"} {
		if rest, ok := strings.CutPrefix(path, "spec."+name); ok {
			return "spec.versions[0]." + name + rest
		}
	}
	return path
}

// shorten keeps responses readable, because a schema may have a megabyte.
func shorten(raw []byte) string {
	const most = 100
	if len(raw) > most {
		return string(raw[:most]) + "..."
	}
	return string(raw)
}
