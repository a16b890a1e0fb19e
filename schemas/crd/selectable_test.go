package crd

import (
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
)

// Upstream's validation takes what Checkable returns, and says itself what is wrong with a path that is none.
func TestCheckable_LeavesWhatUpstreamCanSay(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"spec.size": "spec.selectableFields[0].jsonPath: Invalid value: \"spec.size\": is an invalid path",
		"":          "spec.selectableFields[0].jsonPath: Required value",
		".spec.a":   "spec.selectableFields: Invalid value: \"\": may only be set together with a structural schema",
		"[0]":       "spec.selectableFields: Invalid value: \"\": may only be set together with a structural schema",
	} {
		definition := &apiextensions.CustomResourceDefinition{Spec: apiextensions.CustomResourceDefinitionSpec{
			SelectableFields: []apiextensions.SelectableField{{JSONPath: path}},
			// No structural schema: its property has no type.
			Validation: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{"spec": {ID: "not supported"}},
			}},
		}}
		out, errs := Checkable(definition)
		errs = append(errs, validation.ValidateCustomResourceDefinition(t.Context(), out)...)
		if got := errs.ToAggregate().Error(); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
		if len(definition.Spec.SelectableFields) != 1 {
			t.Errorf("%q: changed what it was given", path)
		}
	}
}
