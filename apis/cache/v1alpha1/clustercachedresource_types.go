package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// ClusterCachedResourceFinalizer keeps a ClusterCachedResource until the server has seen its deletion.
const ClusterCachedResourceFinalizer = "cache.kcp.io/clustercachedresource"

// Conditions of a ClusterCachedResource and their reasons.
const (
	// ResourceValid says whether the workspace serves the resource, and whether its objects can be shared.
	ResourceValid conditionsv1alpha1.ConditionType = "ResourceValid"
	// ReplicationStarted says whether others can read the objects.
	ReplicationStarted conditionsv1alpha1.ConditionType = "ReplicationStarted"
	// IdentityValid says whether the identity exists and has not changed.
	IdentityValid conditionsv1alpha1.ConditionType = "IdentityValid"
	// IdentityVerificationFailedReason means that the Secret is missing, or that its identity has changed.
	IdentityVerificationFailedReason = "IdentityVerificationFailed"
	// IdentityGenerationFailedReason means that the Secret could not be created.
	IdentityGenerationFailedReason = "IdentityGenerationFailed"
	// ResourceNotFoundReason means that the workspace does not serve the resource in the version.
	ResourceNotFoundReason = "ResourceNotFound"
	// ResourceNotSupportedReason means that objects of the resource cannot be shared, for example because they are in namespaces.
	ResourceNotSupportedReason = "ResourceNotSupported"
	// ReplicationWaitingReason means that the resource or the identity is not valid.
	ReplicationWaitingReason = "NotValid"
)

// ClusterCachedResource marks objects of a cluster-scoped resource in its workspace. Workspaces that bind an APIExport with virtual storage
// can read these objects as if they were their own.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClusterCachedResource struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec selects the objects.
	// +optional
	Spec ClusterCachedResourceSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status ClusterCachedResourceStatus `json:"status,omitempty"`
}

// ClusterCachedResourceSpec selects objects.
type ClusterCachedResourceSpec struct {
	GroupVersionResource `json:",inline"`
	// identity identifies the owner of the objects. If it is not set, the system creates one.
	// +optional
	Identity *Identity `json:"identity,omitempty"`
	// labelSelector selects the objects that others may read. If it is not set, they may read all objects of the resource.
	// +optional
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
}

// GroupVersionResource names a resource in a version. It cannot be changed.
type GroupVersionResource struct {
	// group is the API group of the resource.
	// +optional
	Group string `json:"group,omitempty"`
	// version is a version of the resource.
	// +optional
	Version string `json:"version,omitempty"`
	// resource is the plural name of the resource.
	// +required
	Resource string `json:"resource"`
}

// Identity refers to a stored identity.
type Identity struct {
	// secretRef refers to a Secret in the same workspace. The data of the Secret contains the identity under "key".
	// +optional
	SecretRef *corev1.SecretReference `json:"secretRef,omitempty"`
}

// ClusterCachedResourcePhaseType is a phase of a ClusterCachedResource.
type ClusterCachedResourcePhaseType string

const (
	// ClusterCachedResourcePhaseInitializing is the phase until others can read the objects.
	ClusterCachedResourcePhaseInitializing ClusterCachedResourcePhaseType = "Initializing"
	// ClusterCachedResourcePhaseReady is the phase in which others can read the objects.
	ClusterCachedResourcePhaseReady ClusterCachedResourcePhaseType = "Ready"
	// ClusterCachedResourcePhaseDeleting is the phase during the deletion.
	ClusterCachedResourcePhaseDeleting ClusterCachedResourcePhaseType = "Deleting"
	// ClusterCachedResourcePhaseDeleted is the phase in which nothing is left to delete.
	ClusterCachedResourcePhaseDeleted ClusterCachedResourcePhaseType = "Deleted"
)

// ClusterCachedResourceStatus is the observed state.
type ClusterCachedResourceStatus struct {
	// identityHash is the SHA-256 of the identity, in hexadecimal. Once set it never changes.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
	// resourceCounts counts the selected objects. It is computed when the object is read or listed in its workspace.
	// +optional
	ResourceCounts *ResourceCount `json:"resourceCounts,omitempty"`
	// phase is the current phase of the object.
	// +optional
	Phase ClusterCachedResourcePhaseType `json:"phase,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// ResourceCount counts objects. Both numbers are equal, because objects are not copied.
type ResourceCount struct {
	// cache is the number of objects that others can read.
	Cache int `json:"cache"`
	// local is the number of objects in the workspace that the selector selects.
	Local int `json:"local"`
}

// GetConditions returns the conditions of the status.
func (in *ClusterCachedResource) GetConditions() conditionsv1alpha1.Conditions {
	return in.Status.Conditions
}

// SetConditions replaces the conditions of the status.
func (in *ClusterCachedResource) SetConditions(c conditionsv1alpha1.Conditions) {
	in.Status.Conditions = c
}

// ClusterCachedResourceList is a list of ClusterCachedResources.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClusterCachedResourceList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []ClusterCachedResource `json:"items"`
}
