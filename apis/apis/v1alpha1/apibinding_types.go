package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// APIBinding makes the resources of an APIExport usable in the workspace that contains it. This is the older version; see v1alpha2.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec names the APIExport to bind.
	// +optional
	Spec APIBindingSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status APIBindingStatus `json:"status,omitempty"`
}

// APIBindingSpec names the APIExport to bind.
type APIBindingSpec struct {
	// reference names the APIExport to bind. It cannot be changed.
	// +required
	Reference BindingReference `json:"reference"`
	// permissionClaims accept or reject the claims of the APIExport.
	// +optional
	// +listType=atomic
	PermissionClaims []AcceptablePermissionClaim `json:"permissionClaims,omitempty"`
}

// BindingReference names the APIExport to bind.
type BindingReference struct {
	// export names the APIExport.
	// +required
	Export *ExportBindingReference `json:"export,omitempty"`
}

// ExportBindingReference names an APIExport.
type ExportBindingReference struct {
	// path is the path or the name of the workspace that contains the APIExport. If not set, it is the workspace of this object.
	// +optional
	Path string `json:"path,omitempty"`
	// name is the name of the APIExport.
	// +required
	Name string `json:"name"`
}

// AcceptablePermissionClaim accepts or rejects a claim.
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
	// ClaimAccepted grants the requested access.
	ClaimAccepted AcceptablePermissionClaimState = "Accepted"
	// ClaimRejected refuses the requested access.
	ClaimRejected AcceptablePermissionClaimState = "Rejected"
)

// APIBindingPhaseType is a phase in the lifecycle of a binding.
// +enum
type APIBindingPhaseType string

const (
	// APIBindingPhaseBinding means that resources are being bound for the first time.
	APIBindingPhaseBinding APIBindingPhaseType = "Binding"
	// APIBindingPhaseBound means that they were bound.
	APIBindingPhaseBound APIBindingPhaseType = "Bound"
)

// APIBindingStatus is the observed state of a binding.
type APIBindingStatus struct {
	// apiExportClusterName is the name of the logical cluster that contains the APIExport.
	// +optional
	APIExportClusterName string `json:"apiExportClusterName,omitempty"`
	// boundResources are the resources that the binding makes usable.
	// +optional
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	BoundResources []BoundAPIResource `json:"boundResources,omitempty"`
	// phase is the phase of the binding: empty, Binding or Bound.
	// +optional
	Phase APIBindingPhaseType `json:"phase,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// appliedPermissionClaims are the claims that are in effect.
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
	// resource is the plural name of the resource.
	// +required
	Resource string `json:"resource"`
	// schema identifies the schema of the resource.
	// +required
	Schema BoundAPIResourceSchema `json:"schema"`
	// storageVersions are all versions in which objects may be stored.
	// +optional
	// +listType=set
	StorageVersions []string `json:"storageVersions,omitempty"`
	// virtual refers to the object in the workspace of the APIExport whose endpoints serve the resource. If it is not set, the objects are
	// stored in this workspace.
	// +optional
	Virtual *corev1.TypedLocalObjectReference `json:"virtual,omitempty"`
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
