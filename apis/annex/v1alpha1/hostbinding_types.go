package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Finalizers and annotations around a HostBinding.
const (
	// HostBindingFinalizer keeps a HostBinding until the host no longer forwards requests for the projected resources.
	HostBindingFinalizer = "annex.dev/hostbinding"
	// HostBindingAnnotationKey, on a Workspace, contains the name of the HostBinding that caused its creation.
	HostBindingAnnotationKey = "annex.dev/hostbinding"
)

// Conditions of a HostBinding.
const (
	// APIExportValid says whether the APIExport exists, has an identity and offers resources.
	APIExportValid conditionsv1alpha1.ConditionType = "APIExportValid"
	// WorkspaceValid says whether requests reach a workspace.
	WorkspaceValid conditionsv1alpha1.ConditionType = "WorkspaceValid"
	// ResourcesProjected is False if the APIExport has resources that cannot be projected. The others are, so it does not count for Ready.
	ResourcesProjected conditionsv1alpha1.ConditionType = "ResourcesProjected"
	// GroupVersionsRegistered says whether the host forwards requests for all group versions.
	GroupVersionsRegistered conditionsv1alpha1.ConditionType = "GroupVersionsRegistered"
)

// Reasons of those conditions.
const (
	// APIExportNotFoundReason means that the APIExport, or its workspace, does not exist.
	APIExportNotFoundReason = "APIExportNotFound"
	// ProviderChangedReason means that the path leads to another workspace than the one that the HostBinding was accepted for.
	ProviderChangedReason = "ProviderChanged"
	// MissingIdentityHashReason means that the APIExport has no identity yet.
	MissingIdentityHashReason = "MissingIdentityHash"
	// NoResourcesReason means that the APIExport offers no resource that can be projected.
	NoResourcesReason = "NoResources"
	// NotProjectableReason means that some resources cannot be projected, which the message names with the reason.
	NotProjectableReason = "NotProjectable"
	// APIResourceSchemaInvalidReason means that an APIResourceSchema that the APIExport names is missing or invalid.
	APIResourceSchemaInvalidReason = "APIResourceSchemaInvalid"
	// WorkspaceNotFoundReason means that the workspace does not exist, and is not created on demand.
	WorkspaceNotFoundReason = "WorkspaceNotFound"
	// APINotBoundReason means that the workspace does not bind the APIExport.
	APINotBoundReason = "APINotBound"
	// FixedWorkspaceRequiredReason means that a resource is cluster-scoped and the path depends on a namespace.
	FixedWorkspaceRequiredReason = "FixedWorkspaceRequired"
	// ConflictReason means that another owner serves a group version on the host.
	ConflictReason = "Conflict"
	// RegisteringReason means that a group version is about to be registered with the host.
	RegisteringReason = "Registering"
	// NotManagedReason means that this server does not manage APIServices of the host.
	NotManagedReason = "NotManaged"
)

// HostBinding projects the resources of an APIExport onto the host cluster. If the host gets a request for one of them without a
// prefix, the request goes to the workspace that its namespace maps to. HostBindings exist only in the host workspace.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type HostBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec defines the projection.
	// +optional
	Spec HostBindingSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status HostBindingStatus `json:"status,omitempty"`
}

// HostBindingSpec defines the projection.
type HostBindingSpec struct {
	// reference names the APIExport to project. It cannot be changed.
	// +required
	Reference HostBindingReference `json:"reference"`
	// workspace selects the workspace of a request.
	// +required
	Workspace HostBindingWorkspace `json:"workspace"`
	// authorization says who decides about a request that RBAC of the host allows: Workspace (the default) or Host.
	// +optional
	Authorization AuthorizationType `json:"authorization,omitempty"`
}

// HostBindingReference names the APIExport to project.
type HostBindingReference struct {
	// export names the APIExport.
	// +required
	Export *HostBindingExport `json:"export,omitempty"`
}

// HostBindingExport names an APIExport.
type HostBindingExport struct {
	// path is the path or the name of the workspace that contains the APIExport. If not set, it is the host workspace.
	// +optional
	Path string `json:"path,omitempty"`
	// name is the name of the APIExport.
	// +required
	Name string `json:"name"`
}

// HostBindingWorkspace selects the workspace of a request.
type HostBindingWorkspace struct {
	// path is the path of the workspace, such as root:platform. One segment after the first may be {namespace},
	// the namespace of the request: with root:teams:{namespace}, each namespace has its own workspace. The objects are
	// stored there in the namespace of the same name. Cluster-scoped resources need a path without {namespace}. The path
	// cannot be changed.
	// +required
	Path string `json:"path"`
	// create makes the server create a missing workspace when the first object is created in it, with an APIBinding to the
	// APIExport, and the namespace. If not set, writes to a missing workspace are refused.
	// +optional
	Create *HostBindingCreate `json:"create,omitempty"`
}

// HostBindingCreate defines how a workspace is created.
type HostBindingCreate struct {
	// type is the type of the workspace, with its path. If not set, it is the default child type of the parent's type.
	// +optional
	Type *tenancyv1alpha1.WorkspaceTypeReference `json:"type,omitempty"`
}

// AuthorizationType says who decides about a request that RBAC of the host allows.
// +enum
type AuthorizationType string

const (
	// AuthorizationWorkspace requires that RBAC of the host and RBAC of the workspace both allow the request.
	AuthorizationWorkspace AuthorizationType = "Workspace"
	// AuthorizationHost requires only that RBAC of the host allows the request.
	AuthorizationHost AuthorizationType = "Host"
)

// HostBindingStatus is the observed state of a binding.
type HostBindingStatus struct {
	// apiExportClusterName is the name of the logical cluster that contains the APIExport.
	// +optional
	APIExportClusterName string `json:"apiExportClusterName,omitempty"`
	// identityHash is the identity of the APIExport. Workspaces that have an API of the same name from another source are not shown.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
	// groupVersions are the group versions of the APIExport and their state on the host.
	// +optional
	// +listType=map
	// +listMapKey=name
	GroupVersions []HostGroupVersion `json:"groupVersions,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// HostGroupVersion is a group version of the APIExport and its state on the host.
type HostGroupVersion struct {
	// name is the group and the version, such as example.com/v1.
	// +required
	Name string `json:"name"`
	// state is Pending, Registered, Available or Conflict.
	// +required
	State HostGroupVersionState `json:"state"`
	// message gives details for people.
	// +optional
	Message string `json:"message,omitempty"`
}

// HostGroupVersionState is the state of a group version on the host.
// +enum
type HostGroupVersionState string

const (
	// HostGroupVersionPending means that Annex serves the group version and is about to register it.
	HostGroupVersionPending HostGroupVersionState = "Pending"
	// HostGroupVersionRegistered means that the host has an APIService for the group version.
	HostGroupVersionRegistered HostGroupVersionState = "Registered"
	// HostGroupVersionAvailable means that the host has verified that the group version is served.
	HostGroupVersionAvailable HostGroupVersionState = "Available"
	// HostGroupVersionConflict means that another owner serves the group version on the host, so it is not projected.
	HostGroupVersionConflict HostGroupVersionState = "Conflict"
)

// GetConditions returns the conditions of the status.
func (in *HostBinding) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *HostBinding) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// HostBindingList is a list of HostBindings.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type HostBindingList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []HostBinding `json:"items"`
}
