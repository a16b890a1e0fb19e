package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Finalizers, labels and annotations around an APIBinding.
const (
	// APIBindingFinalizer keeps an APIBinding until the objects of its resources are gone.
	APIBindingFinalizer = "apis.kcp.io/apibinding-finalizer"
	// InternalAPIBindingExportLabelKey identifies the APIExport that an APIBinding refers to. apis/apis/identity computes the value.
	InternalAPIBindingExportLabelKey = "internal.apis.kcp.io/export"
	// AcceptProviderAnnotationKey, set to the name of a logical cluster, lets an APIBinding or a HostBinding follow its path to that
	// cluster, after the one that it was accepted for is gone. It needs the same permission as the creation.
	AcceptProviderAnnotationKey = "annex.dev/accept-provider"
	// LimitedBindingAnnotationKey, on an APIBinding, says that its APIExport had a maximal permission policy when the server last saw it. Only
	// the server writes it. If the workspace of the APIExport is gone, nobody can say any more what the policy allowed.
	LimitedBindingAnnotationKey = "internal.annex.dev/maximal-permission-policy"
	// LeavingResourcesAnnotationKey, on an APIBinding, lists the bound resources that its APIExport does not offer any more, in the form
	// <plural>.<group> and divided by commas. Only the server writes it. Nothing is created of them, and once no object is left, they
	// leave status.boundResources.
	LeavingResourcesAnnotationKey = "internal.annex.dev/leaving-resources"
	// ResourceBindingsAnnotationKey, on a LogicalCluster, says which binding or CRD uses each resource name, as JSON.
	ResourceBindingsAnnotationKey = "internal.apis.kcp.io/resource-bindings"
	// AnnotationBoundCRDKey marks the CustomResourceDefinition of a bound resource.
	AnnotationBoundCRDKey = "apis.kcp.io/bound-crd"
	// AnnotationSchemaClusterKey contains the cluster of the APIResourceSchema that such a CustomResourceDefinition was made of.
	AnnotationSchemaClusterKey = "apis.kcp.io/schema-cluster"
	// AnnotationSchemaNameKey contains the name of the APIResourceSchema that such a CustomResourceDefinition was made of.
	AnnotationSchemaNameKey = "apis.kcp.io/schema-name"
	// AnnotationConversionKey contains the spec of the APIConversion by which such a CustomResourceDefinition converts, as JSON.
	AnnotationConversionKey = "internal.apis.kcp.io/conversion"
	// AnnotationNameValidationKey contains the nameValidation of the APIResourceSchema of such a CustomResourceDefinition, unless that is the default.
	AnnotationNameValidationKey = "internal.apis.kcp.io/name-validation"
)

// Conditions of an APIBinding.
const (
	// APIExportValid says whether the APIExport exists and has an identity.
	APIExportValid conditionsv1alpha1.ConditionType = "APIExportValid"
	// InitialBindingCompleted says whether the resources were bound once; once True it stays True.
	InitialBindingCompleted conditionsv1alpha1.ConditionType = "InitialBindingCompleted"
	// BindingUpToDate says whether the resources are bound as the APIExport offers them at present.
	BindingUpToDate conditionsv1alpha1.ConditionType = "BindingUpToDate"
	// BindingResourceDeleteSuccess says, during deletion, whether the objects of the resources are gone.
	BindingResourceDeleteSuccess conditionsv1alpha1.ConditionType = "BindingResourceDeleteSuccess"
	// PermissionClaimsValid says whether the user accepted or rejected exactly the claims of the APIExport.
	PermissionClaimsValid conditionsv1alpha1.ConditionType = "PermissionClaimsValid"
	// PermissionClaimsApplied says whether accepted claims have taken effect.
	PermissionClaimsApplied conditionsv1alpha1.ConditionType = "PermissionClaimsApplied"
)

// Reasons of those conditions.
const (
	// APIExportInvalidReferenceReason means that the reference is malformed.
	APIExportInvalidReferenceReason = "APIExportInvalidReference"
	// APIExportNotFoundReason means that the APIExport does not exist.
	APIExportNotFoundReason = "APIExportNotFound"
	// ProviderChangedReason means that the path leads to another workspace than the one that the APIBinding was accepted for.
	ProviderChangedReason = "ProviderChanged"
	// InternalErrorReason means a fault of the server.
	InternalErrorReason = "InternalError"
	// MissingIdentityHashReason means that the APIExport has no identity yet.
	MissingIdentityHashReason = "MissingIdentityHash"
	// WaitingForEstablishedReason means that a resource is not served yet.
	WaitingForEstablishedReason = "WaitingForEstablished"
	// LogicalClusterNotFoundReason means that the workspace of the binding has no LogicalCluster.
	LogicalClusterNotFoundReason = "LogicalClusterNotFound"
	// NamingConflictsReason means that another binding or a CustomResourceDefinition already uses a name.
	NamingConflictsReason = "NamingConflicts"
	// APIResourceSchemaInvalidReason means that an APIResourceSchema is missing or invalid.
	APIResourceSchemaInvalidReason = "APIResourceSchemaInvalid"
	// InvalidPermissionClaimsReason means that the user accepted a claim that the APIExport does not have.
	InvalidPermissionClaimsReason = "InvalidPermissionClaims"
	// PermissionClaimsMismatchReason means that a claim was neither accepted nor rejected yet.
	PermissionClaimsMismatchReason = "PermissionClaimsMismatch"
)

// APIBinding makes the resources of an APIExport usable in the workspace that contains it.
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
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	// +listMapKey=identityHash
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

// ScopedPermissionClaim is a claim together with the objects that it applies to.
type ScopedPermissionClaim struct {
	PermissionClaim `json:",inline"`
	// selector selects the objects of the claim. It cannot be changed; remove the claim and add it again.
	// +required
	Selector PermissionClaimSelector `json:"selector"`
}

// AcceptablePermissionClaim accepts or rejects a claim.
type AcceptablePermissionClaim struct {
	ScopedPermissionClaim `json:",inline"`
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
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	// +listMapKey=identityHash
	AppliedPermissionClaims []ScopedPermissionClaim `json:"appliedPermissionClaims,omitempty"`
	// exportPermissionClaims are the claims that the APIExport makes.
	// +optional
	// +listType=map
	// +listMapKey=group
	// +listMapKey=resource
	// +listMapKey=identityHash
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
