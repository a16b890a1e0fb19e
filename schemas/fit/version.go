package fit

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	structurallisttype "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	schemaobjectmeta "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/annex-dev/annex/schemas/cost"
)

// version checks objects in one version.
type version struct {
	name       string
	validator  validation.SchemaValidator // nil for a version without a schema
	structural *structuralschema.Structural
	rules      *cel.Validator // nil if there are none
	cost       *cost.Validation
	scale      *apiextensionsv1.CustomResourceSubresourceScale
}

func newVersion(v *apiextensionsv1.CustomResourceDefinitionVersion, structural *structuralschema.Structural) (*version, error) {
	out := &version{name: v.Name}
	if v.Subresources != nil {
		out.scale = v.Subresources.Scale
	}
	if structural == nil {
		return out, nil
	}
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, internal, nil); err != nil {
		return nil, fmt.Errorf("converting the schema of version %s: %w", v.Name, err)
	}
	var err error
	if out.validator, _, err = validation.NewSchemaValidator(internal); err != nil {
		return nil, fmt.Errorf("compiling the schema of version %s: %w", v.Name, err)
	}
	out.cost = cost.NewValidation(v.Schema.OpenAPIV3Schema)
	out.structural = withoutMessageExpressions(structural)
	out.rules = cel.NewValidator(out.structural, true, celconfig.PerCallLimit)
	return out, nil
}

// withoutMessageExpressions returns a schema whose rules say only what the schema says: an expression could quote the value.
func withoutMessageExpressions(structural *structuralschema.Structural) *structuralschema.Structural {
	out := structural.DeepCopy()
	silence := func(rules apiextensionsv1.ValidationRules) bool {
		for i := range rules {
			rules[i].MessageExpression = ""
		}
		return true
	}
	(&structuralschema.Visitor{
		Structural:            func(s *structuralschema.Structural) bool { return silence(s.XValidations) },
		NestedValueValidation: func(v *structuralschema.NestedValueValidation) bool { return silence(v.XValidations) },
	}).Visit(out)
	return out
}

// check returns why obj, which is in the version and has the form of its schema, is invalid.
func (v *version) check(ctx context.Context, obj *unstructured.Unstructured) ([]Fault, error) {
	faults := v.checkScale(obj.Object)
	if v.validator == nil {
		return faults, nil
	}
	refused, err := v.cost.Refuse(obj, nil, false)
	if err != nil {
		return nil, err
	}
	if len(refused) > 0 {
		for _, e := range refused {
			// The detail may quote the last of many errors.
			message := e.Detail
			if at := strings.Index(message, ", the last one: "); at >= 0 {
				message = message[:at]
			}
			faults = append(faults, newFault(v.name, e.Field, message))
		}
		return faults, nil
	}
	add := func(errs field.ErrorList, say func(*field.Error) string) {
		for _, e := range errs {
			faults = append(faults, newFault(v.name, e.Field, say(e)))
		}
	}
	bySchema := validation.ValidateCustomResource(nil, obj.Object, v.validator)
	embedded := schemaobjectmeta.Validate(ctx, nil, obj.Object, v.structural, false)
	lists := structurallisttype.ValidateListSetsAndMaps(nil, v.structural, obj.Object)
	add(bySchema, ofSchema)
	add(embedded, ofMetadata)
	add(lists, ofSchema)
	if v.rules == nil {
		return faults, nil
	}
	if slices.ContainsFunc(slices.Concat(bySchema, embedded, lists), hidesRules) {
		return faults, nil // as in an answer to a request, rules count only for objects that have the right types
	}
	byRules, _ := v.rules.Validate(ctx, nil, v.structural, obj.Object, nil, celconfig.RuntimeCELCostBudget)
	if err := ctx.Err(); err != nil {
		return nil, err // what the rules say now is about that
	}
	add(byRules, ofRule)
	return faults, nil
}

// hidesRules reports whether rules are not evaluated because of an error.
func hidesRules(e *field.Error) bool {
	switch e.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	}
	return false
}

// checkScale checks the fields that the subresource scale shows.
func (v *version) checkScale(obj map[string]any) []Fault {
	if v.scale == nil {
		return nil
	}
	var faults []Fault
	for _, path := range []string{v.scale.SpecReplicasPath, v.scale.StatusReplicasPath} {
		n, _, err := unstructured.NestedInt64(obj, strings.Split(strings.TrimPrefix(path, "."), ".")...)
		if err != nil || n < 0 || n > math.MaxInt32 {
			faults = append(faults, newFault(v.name, strings.TrimPrefix(path, "."), "must be a number of replicas, from 0 to 2147483647"))
		}
	}
	if path := v.scale.LabelSelectorPath; path != nil {
		if _, _, err := unstructured.NestedString(obj, strings.Split(strings.TrimPrefix(*path, "."), ".")...); err != nil {
			faults = append(faults, newFault(v.name, strings.TrimPrefix(*path, "."), "must be a label selector in a string"))
		}
	}
	return faults
}
