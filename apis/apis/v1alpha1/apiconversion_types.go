package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PreserveAnnotationPrefix begins the annotations in which a converted object keeps fields of another version. The name of that version
// follows. The value is a JSON object: the fields by their paths, as they are in preserve.
const PreserveAnnotationPrefix = "preserve.conversion.apis.kcp.io/"

// APIConversion says how the objects of an APIResourceSchema are converted between its versions. It is in the same workspace as the
// APIResourceSchema and has the same name. If there is none, conversion changes only the apiVersion. In contrast to the schema, it can be
// changed at any time.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIConversion struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is that of the APIResourceSchema.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec contains the rules.
	// +required
	Spec APIConversionSpec `json:"spec"`
}

// APIConversionSpec contains the rules of all conversions.
type APIConversionSpec struct {
	// conversions are the pairs of versions with their rules. There must be one from each version to the version that is stored, and one from
	// that to each version that is served. Between other versions, objects are converted by way of the version that is stored.
	// +required
	// +listType=map
	// +listMapKey=from
	// +listMapKey=to
	Conversions []APIVersionConversion `json:"conversions"`
}

// APIVersionConversion says how objects are converted from one version to another. Fields that no rule and no entry of preserve names are
// dropped. The metadata of an object stays as it is.
type APIVersionConversion struct {
	// from is the version that objects are converted from.
	// +required
	From string `json:"from"`
	// to is the version that objects are converted to.
	// +required
	To string `json:"to"`
	// rules fill in the fields of the new object, one after the other. A rule may change what an earlier one has filled in.
	// +required
	// +listType=map
	// +listMapKey=destination
	Rules []APIConversionRule `json:"rules"`
	// preserve contains the paths of fields, such as .spec.name, that the new object keeps in an annotation. They come back when the object
	// is converted back.
	// +optional
	// +listType=atomic
	Preserve []string `json:"preserve,omitempty"`
}

// APIConversionRule fills in one field.
type APIConversionRule struct {
	// field is the path of a field in the version that objects are converted from, such as .spec.name. If an object does not have the field,
	// the rule does nothing.
	// +required
	Field string `json:"field"`
	// destination is the path of the field in the version that objects are converted to.
	// +required
	Destination string `json:"destination"`
	// transformation is a CEL expression that returns the new value. The variable self is the value of field. If not set, the value stays as it is.
	// +optional
	Transformation string `json:"transformation,omitempty"`
}

// APIConversionList is a list of APIConversions.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIConversionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIConversion `json:"items"`
}
