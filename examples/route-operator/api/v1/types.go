package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of this package.
var SchemeGroupVersion = schema.GroupVersion{Group: "routes.example.com", Version: "v1"}

// AddToScheme adds the types of this package to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &Route{}, &RouteList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}

// Ready is the condition of a Route that has its address.
const Ready = "Ready"

// RouteSpec is what a consumer wants.
type RouteSpec struct {
	// host is the first part of the address, such as shop.
	Host string `json:"host"`
}

// RouteStatus is what the operator has done.
type RouteStatus struct {
	// conditions has Ready.
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// url is the address.
	URL string `json:"url,omitempty"`
}

// Route is a public address.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Route struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RouteSpec   `json:"spec"`
	Status RouteStatus `json:"status,omitempty"`
}

// RouteList is a list of Routes.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type RouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Route `json:"items"`
}
