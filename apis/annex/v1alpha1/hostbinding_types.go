package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Finalizers and annotations around a HostBinding.
const (
	// HostBindingFinalizer keeps a HostBinding until the host no longer forwards requests for what it projects.
	HostBindingFinalizer = "annex.dev/hostbinding"
	// HostBindingAnnotationKey, on a Workspace, holds the name of the HostBinding on whose demand it was made.
	HostBindingAnnotationKey = "annex.dev/hostbinding"
)

// Conditions of a HostBinding.
const (
	// APIExportValid says whether the APIExport is there, has an identity and offers something.
	APIExportValid conditionsv1alpha1.ConditionType = "APIExportValid"
	// WorkspaceValid says whether requests find a workspace.
	WorkspaceValid conditionsv1alpha1.ConditionType = "WorkspaceValid"
	// GroupVersionsRegistered says whether the host forwards requests for all group versions.
	GroupVersionsRegistered conditionsv1alpha1.ConditionType = "GroupVersionsRegistered"
)

// Reasons of those conditions.
const (
	// APIExportNotFoundReason means that the APIExport, or the workspace that should hold it, does not exist.
	APIExportNotFoundReason = "APIExportNotFound"
	// MissingIdentityHashReason means that the APIExport has no identity yet.
	MissingIdentityHashReason = "MissingIdentityHash"
	// NoResourcesReason means that the APIExport offers nothing that can be projected.
	NoResourcesReason = "NoResources"
	// APIResourceSchemaInvalidReason means that an APIResourceSchema that the APIExport names is missing or invalid.
	APIResourceSchemaInvalidReason = "APIResourceSchemaInvalid"
	// WorkspaceNotFoundReason means that the workspace does not exist, and that none is made on demand.
	WorkspaceNotFoundReason = "WorkspaceNotFound"
	// APINotBoundReason means that the workspace does not bind the APIExport.
	APINotBoundReason = "APINotBound"
	// FixedWorkspaceRequiredReason means that a resource is cluster-scoped and the path depends on a namespace.
	FixedWorkspaceRequiredReason = "FixedWorkspaceRequired"
	// ConflictReason means that somebody else serves a group version on the host.
	ConflictReason = "Conflict"
	// RegisteringReason means that a group version is about to be registered with the host.
	RegisteringReason = "Registering"
	// NotManagedReason means that APIServices of the host are not looked after.
	NotManagedReason = "NotManaged"
)

// HostBinding projects the resources of an APIExport onto the host cluster: requests that the host gets for them, without
// any prefix, are for the workspace that their namespace maps to. It exists in the host workspace only.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type HostBinding struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says what is projected.
	// +optional
	Spec HostBindingSpec `json:"spec,omitempty"`
	// status is what was found.
	// +optional
	Status HostBindingStatus `json:"status,omitempty"`
}

// HostBindingSpec says what is projected.
type HostBindingSpec struct {
	// reference names what is projected. It cannot be changed.
	// +required
	Reference HostBindingReference `json:"reference"`
	// workspace says which workspace a request is for.
	// +required
	Workspace HostBindingWorkspace `json:"workspace"`
	// authorization says who decides about a request that RBAC of the host allows: Workspace, which is the default, or Host.
	// +optional
	Authorization AuthorizationType `json:"authorization,omitempty"`
}

// HostBindingReference names what is projected.
type HostBindingReference struct {
	// export names the APIExport.
	// +required
	Export *HostBindingExport `json:"export,omitempty"`
}

// HostBindingExport names an APIExport.
type HostBindingExport struct {
	// path is the path or the name of the workspace that holds the APIExport. Left out, it is the host workspace.
	// +optional
	Path string `json:"path,omitempty"`
	// name is the name of the APIExport.
	// +required
	Name string `json:"name"`
}

// HostBindingWorkspace says which workspace a request is for.
type HostBindingWorkspace struct {
	// path is the path of the workspace, such as root:platform. One segment behind the first may be {namespace}, which
	// stands for the namespace of the request: with root:teams:{namespace} each namespace has a workspace of its own. The
	// objects lie in the namespace of the same name there. Cluster-scoped resources need a path without it. It cannot be
	// changed.
	// +required
	Path string `json:"path"`
	// create has a workspace made that does not exist when something is first created in it, with an APIBinding to the
	// APIExport, and the namespace. Left out, writes are refused then.
	// +optional
	Create *HostBindingCreate `json:"create,omitempty"`
}

// HostBindingCreate says how a workspace is made.
type HostBindingCreate struct {
	// type is the type of the workspace, with its path. Left out, it is the one that the parent's type makes by default.
	// +optional
	Type *tenancyv1alpha1.WorkspaceTypeReference `json:"type,omitempty"`
}

// AuthorizationType says who decides about a request that RBAC of the host allows.
// +enum
type AuthorizationType string

const (
	// AuthorizationWorkspace asks RBAC of the workspace, too: both must allow.
	AuthorizationWorkspace AuthorizationType = "Workspace"
	// AuthorizationHost takes the host's word for enough.
	AuthorizationHost AuthorizationType = "Host"
)

// HostBindingStatus is what was found of a binding.
type HostBindingStatus struct {
	// apiExportClusterName is the name of the logical cluster that holds the APIExport.
	// +optional
	APIExportClusterName string `json:"apiExportClusterName,omitempty"`
	// identityHash is the identity of the APIExport. Workspaces that have an API of the same name by other means are not shown.
	// +optional
	IdentityHash string `json:"identityHash,omitempty"`
	// groupVersions are the group versions of the APIExport and what became of them on the host.
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

// HostGroupVersion is a group version of the APIExport and what became of it on the host.
type HostGroupVersion struct {
	// name is group and version, such as example.com/v1.
	// +required
	Name string `json:"name"`
	// state is Pending, Registered, Available or Conflict.
	// +required
	State HostGroupVersionState `json:"state"`
	// message tells people more.
	// +optional
	Message string `json:"message,omitempty"`
}

// HostGroupVersionState is what became of a group version on the host.
// +enum
type HostGroupVersionState string

const (
	// HostGroupVersionPending means that it is served here and about to be registered.
	HostGroupVersionPending HostGroupVersionState = "Pending"
	// HostGroupVersionRegistered means that the host has an APIService for it.
	HostGroupVersionRegistered HostGroupVersionState = "Registered"
	// HostGroupVersionAvailable means that the host has found it to be served.
	HostGroupVersionAvailable HostGroupVersionState = "Available"
	// HostGroupVersionConflict means that somebody else serves it on the host; it is not projected.
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
