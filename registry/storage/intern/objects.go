package intern

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// shareMinBytes is the length from which a value of a ConfigMap is worth a look-up, shareMaxBytes the one to which the
	// tables may hold something.
	shareMinBytes = 512
	shareMaxBytes = 64 << 10
)

// Objects lets typed objects share what is equal in thousands of them and cannot be changed in place: who owns which
// fields, which is the same for all objects that one controller makes, and long values of ConfigMaps, such as the CA bundle
// in every namespace.
type Objects struct {
	fields *recent[*metav1.FieldsV1]
	values *recent[string]
}

// NewObjects returns empty tables.
func NewObjects() *Objects {
	return &Objects{fields: newRecent[*metav1.FieldsV1](), values: newRecent[string]()}
}

// Share makes obj, which was just decoded and belongs to the caller, refer to what others hold already.
func (s *Objects) Share(obj runtime.Object, accessor metav1.Object) {
	entries := accessor.GetManagedFields()
	for i := range entries {
		if f := entries[i].FieldsV1; f != nil && len(f.GetRawString()) <= shareMaxBytes {
			entries[i].FieldsV1 = s.fields.of(f.GetRawString(), f)
		}
	}
	configMap, ok := obj.(*corev1.ConfigMap)
	if !ok {
		return
	}
	for key, value := range configMap.Data {
		if len(value) >= shareMinBytes && len(value) <= shareMaxBytes {
			configMap.Data[key] = s.values.of(value, value)
		}
	}
}
