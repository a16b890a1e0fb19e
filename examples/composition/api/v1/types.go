package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of this package.
var SchemeGroupVersion = schema.GroupVersion{Group: "apps.example.com", Version: "v1"}

// AddToScheme adds the types of this package to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &App{}, &AppList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}

// Conditions of an App. Each of the first two says how a part is, Ready says both.
const (
	DatabaseReady = "DatabaseReady"
	RouteReady    = "RouteReady"
	Ready         = "Ready"
)

// AppSpec is what a consumer wants.
type AppSpec struct {
	// host is the first part of the address.
	Host string `json:"host"`
	// connectionLimit is how many connections the database may have at once.
	ConnectionLimit int32 `json:"connectionLimit,omitempty"`
}

// AppStatus is what the operator has done.
type AppStatus struct {
	// conditions has DatabaseReady, RouteReady and Ready.
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// url is the address.
	URL string `json:"url,omitempty"`
	// secretName is the name of the Secret with the login of the database.
	SecretName string `json:"secretName,omitempty"`
}

// App is a database and an address.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type App struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AppSpec   `json:"spec"`
	Status AppStatus `json:"status,omitempty"`
}

// AppList is a list of Apps.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type AppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []App `json:"items"`
}
