package kinds

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateStandardFinalizer refuses the name of a finalizer that has no domain and is none of those that Kubernetes defines.
func ValidateStandardFinalizer(name string, at *field.Path) field.ErrorList {
	standard := []string{"kubernetes", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents}
	if strings.Contains(name, "/") || slices.Contains(standard, name) {
		return nil
	}
	return field.ErrorList{field.Invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified")}
}

// validateFinalizers checks those of the metadata, for kinds that take only some.
func (k *Kind[E, T]) validateFinalizers(obj T) field.ErrorList {
	if !k.StandardFinalizers {
		return nil
	}
	var errs field.ErrorList
	for i, name := range obj.GetFinalizers() {
		errs = append(errs, ValidateStandardFinalizer(name, field.NewPath("metadata", "finalizers").Index(i))...)
	}
	return errs
}
