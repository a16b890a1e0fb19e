package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the kinds in this package.
const GroupName = "annex.dev"

// SchemeGroupVersion is the group and version of the kinds in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// Resource returns resource with the group of this package.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(resource).GroupResource()
}

// AddToScheme registers the kinds of this package. It always returns nil. The result exists because schemes are built
// from functions of this form. Defaults have a function of their own.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &HostBinding{}, &HostBindingList{}, &APIExportRollout{}, &APIExportRolloutList{},
		&APIChangeReport{}, &APIChangeReportList{}, &WorkspaceAccess{}, &WorkspaceAccessList{}, &AccessExplanation{}, &WhoCanReview{})
	scheme.AddKnownTypes(SchemeGroupVersion, &APIStorageMigration{}, &APIStorageMigrationList{}, &WorkspaceClass{}, &WorkspaceClassList{}, &WorkspaceClaim{}, &WorkspaceClaimList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
