package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// APIBinding makes the resources of an APIExport usable in the workspace that holds it. This is its older form; see v1alpha2.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says what is bound.
	// +optional
	Spec APIBindingSpec `json:"spec,omitempty"`
	// status is what was found.
	// +optional
	Status APIBindingStatus `json:"status,omitempty"`
}

// APIBindingSpec says what is bound.
type APIBindingSpec struct {
	// reference names what is bound. It cannot be changed.
	// +required
	Reference BindingReference `json:"reference"`
	// permissionClaims answer what the APIExport asks for. Not supported yet.
	// +optional
	// +listType=atomic
	PermissionClaims []AcceptablePermissionClaim `json:"permissionClaims,omitempty"`
}

// BindingReference names what is bound.
type BindingReference struct {
	// export names the APIExport.
	// +required
	Export *ExportBindingReference `json:"export,omitempty"`
}

// ExportBindingReference names an APIExport.
type ExportBindingReference struct {
	// path is the path or the name of the workspace that holds the APIExport. Left out, it is the workspace of this object.
	// +optional
	Path string `json:"path,omitempty"`
	// name is the name of the APIExport.
	// +required
	Name string `json:"name"`
}

// AcceptablePermissionClaim answers a claim.
type AcceptablePermissionClaim struct {
	PermissionClaim `json:",inline"`
	// state is the answer: Accepted or Rejected.
	// +required
	State AcceptablePermissionClaimState `json:"state"`
}

// AcceptablePermissionClaimState is the answer to a claim.
// +enum
type AcceptablePermissionClaimState string

const (
	// ClaimAccepted gives what is asked for.
	ClaimAccepted AcceptablePermissionClaimState = "Accepted"
	// ClaimRejected refuses it.
	ClaimRejected AcceptablePermissionClaimState = "Rejected"
)

// APIBindingPhaseType is a step in the life of a binding.
// +enum
type APIBindingPhaseType string

const (
	// APIBindingPhaseBinding means that resources are being bound for the first time.
	APIBindingPhaseBinding APIBindingPhaseType = "Binding"
	// APIBindingPhaseBound means that they were bound.
	APIBindingPhaseBound APIBindingPhaseType = "Bound"
)

// APIBindingStatus is what was found of a binding.
type APIBindingStatus struct {
	// apiExportClusterName is the name of the logical cluster that holds the APIExport.
	// +optional
	APIExportClusterName string `json:"apiExportClusterName,omitempty"`
	// boundResources are the resources that the binding makes usable.
	// +optional
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	BoundResources []BoundAPIResource `json:"boundResources,omitempty"`
	// phase is where the binding stands in its life: empty, Binding or Bound.
	// +optional
	Phase APIBindingPhaseType `json:"phase,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// appliedPermissionClaims are the claims that are in force.
	// +optional
	// +listType=atomic
	AppliedPermissionClaims []PermissionClaim `json:"appliedPermissionClaims,omitempty"`
	// exportPermissionClaims are the claims that the APIExport makes.
	// +optional
	// +listType=atomic
	ExportPermissionClaims []PermissionClaim `json:"exportPermissionClaims,omitempty"`
}

// BoundAPIResource is a resource that a binding makes usable.
type BoundAPIResource struct {
	// group is the API group of the resource; empty for the core group.
	// +required
	Group string `json:"group"`
	// resource is the resource in plural.
	// +required
	Resource string `json:"resource"`
	// schema is what the resource looks like.
	// +required
	Schema BoundAPIResourceSchema `json:"schema"`
	// storageVersions are the versions that objects have ever been stored in.
	// +optional
	// +listType=set
	StorageVersions []string `json:"storageVersions,omitempty"`
}

// BoundAPIResourceSchema identifies the APIResourceSchema that a resource was bound with.
type BoundAPIResourceSchema struct {
	// name is the name of the APIResourceSchema.
	// +required
	Name string `json:"name"`
	// UID is the UID of the APIResourceSchema.
	// +required
	UID string `json:"UID"`
	// identityHash is the identity of the APIExport.
	// +required
	IdentityHash string `json:"identityHash"`
}

// GetConditions returns the conditions of the status.
func (in *APIBinding) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *APIBinding) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// APIBindingList is a list of APIBindings.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIBinding `json:"items"`
}
