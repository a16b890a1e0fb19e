package schema

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/schemas/conversion"
)

// convertible refuses objects that the rules of their definition cannot convert to every version that is served. In another version, lists would
// fail at them, and the provider would not see them in its lists of all consumers.
type convertible struct {
	bounded
	rules *rules
}

var _ admission.MutationInterface = convertible{}

// Admit implements admission.MutationInterface. It looks at an object after everything that may change it.
func (c convertible) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := c.bounded.Admit(ctx, a, o); err != nil {
		return err
	}
	if a.GetSubresource() == "scale" {
		return nil // changes a number that it was possible to convert
	}
	obj, old, err := c.validated(ctx, a, c.versions[a.GetResource().Version])
	if err != nil || obj == nil {
		return err
	}
	if old != nil && old.GetUID() != "" && onlyChangesMetadata(obj, old) && samePreserved(obj, old) {
		return nil // what rules of today do not convert can still be labeled and released
	}
	errs, err := c.check(obj, old)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if len(errs) == 0 {
		return nil
	}
	if old != nil && old.GetUID() != "" {
		if before, err := c.check(old, old); err == nil && len(before) > 0 {
			return nil // it has been like that since the rules changed
		}
	}
	return apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), obj.GetName(), errs)
}

// check returns why obj, which was old before, if that is not nil, cannot be converted.
func (c convertible) check(obj, old *unstructured.Unstructured) (field.ErrorList, error) {
	compiled, err := c.rules.compiled()
	if err != nil {
		return nil, err
	}
	written := old == nil || !samePreserved(obj, old)
	if errs := compiled.CheckPreserved(obj.Object); written && len(errs) > 0 {
		return errs, nil
	}
	stored, err := c.converted(compiled, obj.Object, c.rules.stored)
	if err != nil {
		return faults(err)
	}
	if written {
		if errs, err := c.restored(compiled, obj, stored); err != nil || len(errs) > 0 {
			return errs, err
		}
	}
	for _, version := range c.rules.served {
		if _, err := c.converted(compiled, stored, version); err != nil {
			return faults(err)
		}
	}
	return nil, nil
}

// converted returns obj in a version, in which clients must be able to write it back.
func (c convertible) converted(compiled *conversion.Rules, obj map[string]any, to string) (map[string]any, error) {
	out, err := c.rules.one(compiled, obj, to, conversion.NewBudget(1, 0))
	if err != nil {
		return nil, err
	}
	u := unstructured.Unstructured{Object: out}
	if err := apimachineryvalidation.ValidateAnnotationsSize(u.GetAnnotations()); err != nil {
		return nil, field.Invalid(field.NewPath("metadata", "annotations"), field.OmitValueType{}, fmt.Sprintf("the fields to preserve in version %s take too much: %v", to, err))
	}
	return out, nil
}

// restored returns what is wrong with the fields of the stored version that obj has kept in an annotation, where clients can write anything.
func (c convertible) restored(compiled *conversion.Rules, obj *unstructured.Unstructured, stored map[string]any) (field.ErrorList, error) {
	restored := compiled.Restored(obj.Object, c.rules.stored)
	in := c.versions[c.rules.stored]
	if len(restored) == 0 || in.Validation == nil {
		return nil, nil
	}
	if errs, err := in.Refuse(&unstructured.Unstructured{Object: stored}, nil, false); err != nil || len(errs) > 0 {
		return errs, err
	}
	schema, err := in.Schema()
	if err != nil {
		return nil, err
	}
	var errs field.ErrorList
	for _, fault := range validation.ValidateCustomResource(nil, stored, validation.NewSchemaValidatorFromOpenAPI(schema)) {
		for _, path := range restored {
			if fault.Field == path || strings.HasPrefix(fault.Field, path+".") || strings.HasPrefix(fault.Field, path+"[") {
				at := field.NewPath("metadata", "annotations").Key(apisv1alpha1.PreserveAnnotationPrefix + c.rules.stored)
				errs = append(errs, field.Invalid(at, field.OmitValueType{}, fault.Error()))
				break
			}
		}
	}
	return errs, nil
}

// faults returns err as one of a field; as it is if it is of none.
func faults(err error) (field.ErrorList, error) {
	var fault *field.Error
	if errors.As(err, &fault) {
		return field.ErrorList{fault}, nil
	}
	return nil, err
}

// samePreserved reports whether two objects preserve the same fields of other versions.
func samePreserved(a, b *unstructured.Unstructured) bool {
	x, y := preserved(a), preserved(b)
	for key, value := range x {
		if y[key] != value {
			return false
		}
	}
	return len(x) == len(y)
}

func preserved(obj *unstructured.Unstructured) map[string]string {
	all := obj.GetAnnotations()
	for key := range all {
		if !strings.HasPrefix(key, apisv1alpha1.PreserveAnnotationPrefix) {
			delete(all, key) // a copy
		}
	}
	return all
}
