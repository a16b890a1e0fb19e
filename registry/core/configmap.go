package core

import (
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/registry/kinds"
)

// whenImmutable is the error for changes of an immutable object.
const whenImmutable = "field is immutable when `immutable` is set"

func configMaps() *kinds.Kind[corev1.ConfigMap, *corev1.ConfigMap] {
	return &kinds.Kind[corev1.ConfigMap, *corev1.ConfigMap]{
		Columns: []metav1.TableColumnDefinition{
			kinds.NameColumn(),
			{Name: "Data", Type: "string", Description: corev1.ConfigMap{}.SwaggerDoc()["data"]},
			kinds.AgeColumn(),
		},
		Cells: func(cm *corev1.ConfigMap) []any {
			return []any{cm.Name, int64(len(cm.Data) + len(cm.BinaryData)), kinds.Age(cm.CreationTimestamp)}
		},
		Name:               apimachineryvalidation.NameIsDNSSubdomain,
		Validate:           validateConfigMap,
		StandardFinalizers: true,
		ValidateUpdate:     validateConfigMapUpdate,
	}
}

func validateConfigMap(cm *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for key, value := range cm.Data {
		path := field.NewPath("data").Key(key)
		errs = append(errs, validateDataKey(key, path)...)
		if _, twice := cm.BinaryData[key]; twice {
			errs = append(errs, field.Invalid(path, key, "duplicate of key present in binaryData"))
		}
		size += len(value)
	}
	for key, value := range cm.BinaryData {
		errs = append(errs, validateDataKey(key, field.NewPath("binaryData").Key(key))...)
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		// An empty path refers to the whole object.
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

func validateDataKey(key string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range validation.IsConfigMapKey(key) {
		errs = append(errs, field.Invalid(path, key, message))
	}
	return errs
}

func validateConfigMapUpdate(cm, old *corev1.ConfigMap) field.ErrorList {
	if !isTrue(old.Immutable) {
		return nil
	}
	return append(validateFrozen(cm.Immutable, cm.Data, old.Data),
		validateSame("binaryData", cm.BinaryData, old.BinaryData)...)
}

// validateFrozen refuses changes of data, and of the field that forbids them.
func validateFrozen(immutable *bool, data, old any) field.ErrorList {
	var errs field.ErrorList
	if !isTrue(immutable) {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), whenImmutable))
	}
	return append(errs, validateSame("data", data, old)...)
}

func validateSame(name string, value, old any) field.ErrorList {
	if apiequality.Semantic.DeepEqual(value, old) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath(name), whenImmutable)}
}

func isTrue(b *bool) bool { return b != nil && *b }
