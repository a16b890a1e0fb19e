package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
)

// freelyNamed is a strategy for objects that may have every name that is valid in a URL.
type freelyNamed struct{ rest.RESTCreateStrategy }

// Validate implements rest.RESTCreateStrategy. What the schema and its rules say about names stays.
func (s freelyNamed) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	errs := s.RESTCreateStrategy.Validate(ctx, obj)
	object, ok := obj.(metav1.Object)
	if !ok {
		return append(errs, field.InternalError(field.NewPath("metadata"), fmt.Errorf("unexpected type %T", obj)))
	}
	for _, of := range []struct {
		field, value string
		stock, ours  []string
	}{
		{"name", object.GetName(), apimachineryvalidation.NameIsDNSSubdomain(object.GetName(), false), content.IsPathSegmentName(object.GetName())},
		{"generateName", object.GetGenerateName(), apimachineryvalidation.NameIsDNSSubdomain(object.GetGenerateName(), true), content.IsPathSegmentPrefix(object.GetGenerateName())},
	} {
		at := field.NewPath("metadata", of.field)
		errs = slices.DeleteFunc(errs, func(e *field.Error) bool {
			return e.Type == field.ErrorTypeInvalid && e.Field == at.String() && slices.Contains(of.stock, e.Detail)
		})
		if of.value == "" {
			continue
		}
		if strings.ContainsRune(of.value, 0) {
			of.ours = append(of.ours, "may not contain a zero byte") // no storage key can
		}
		for _, message := range of.ours {
			errs = append(errs, field.Invalid(at, of.value, message))
		}
	}
	return errs
}
