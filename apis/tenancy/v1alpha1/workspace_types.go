package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// Annotations and labels of a Workspace.
const (
	// WorkspacePhaseLabel repeats status.phase, so that label selectors can use it.
	WorkspacePhaseLabel = "tenancy.kcp.io/phase"
	// WorkspaceInitializerLabelPrefix begins the key of the label that a Workspace has for each unfinished initializer.
	WorkspaceInitializerLabelPrefix = "initializer.internal.kcp.io/"
	// WorkspaceTerminatorLabelPrefix begins the key of the label that a Workspace has for each unfinished terminator.
	WorkspaceTerminatorLabelPrefix = "terminator.internal.kcp.io/"
	// ExperimentalWorkspaceOwnerAnnotationKey contains the user who created the Workspace, as the JSON of a UserInfo.
	ExperimentalWorkspaceOwnerAnnotationKey = "experimental.tenancy.kcp.io/owner"
	// WorkspaceShardHashAnnotationKey contains the hash of the name of the shard that was chosen.
	WorkspaceShardHashAnnotationKey = "internal.tenancy.kcp.io/shard"
	// WorkspaceClusterAnnotationKey contains the name of the logical cluster that was chosen.
	WorkspaceClusterAnnotationKey = "internal.tenancy.kcp.io/cluster"
	// IsMountAnnotationKey marks objects that a Workspace may be mounted on.
	IsMountAnnotationKey = "experimental.tenancy.kcp.io/is-mount"
)

// Conditions of a Workspace, in addition to those that it mirrors from its LogicalCluster.
const (
	// WorkspaceScheduled says whether a logical cluster was chosen for the workspace.
	WorkspaceScheduled conditionsv1alpha1.ConditionType = "WorkspaceScheduled"
	// MountConditionReady says whether the object that the workspace is mounted on is ready.
	MountConditionReady conditionsv1alpha1.ConditionType = "WorkspaceMountReady"
)

// Reasons of those conditions.
const (
	// WorkspaceReasonUnschedulable means that no shard fits.
	WorkspaceReasonUnschedulable = "Unschedulable"
	// WorkspaceReasonReasonUnknown means that scheduling failed. The message gives the reason.
	WorkspaceReasonReasonUnknown = "Unknown"
	// MountAnnotationInvalidReason means that the object is not marked as a mount.
	MountAnnotationInvalidReason = "MountAnnotationInvalid"
	// MountObjectNotFoundReason means that the object does not exist.
	MountObjectNotFoundReason = "MountObjectNotFound"
	// MountObjectNotReadyReason means that the object is not ready.
	MountObjectNotReadyReason = "MountObjectNotReady"
)

// Workspace is an entry in the workspace tree. It creates a logical cluster, and gives it a name below the workspace that contains
// this object.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Workspace struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is one segment of the path: at most 63 lower-case letters, digits and dashes.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the desired state.
	// +optional
	Spec WorkspaceSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status WorkspaceStatus `json:"status,omitempty"`
}

// WorkspaceSpec is the desired state of a workspace.
type WorkspaceSpec struct {
	// type is the type of the workspace. If not set, it is the default child type of the parent workspace. It cannot be changed.
	// +optional
	Type *WorkspaceTypeReference `json:"type,omitempty"`
	// location limits the shards for the workspace. It has no effect after a shard was chosen.
	// +optional
	Location *WorkspaceLocation `json:"location,omitempty"`
	// cluster is the name of the logical cluster of this workspace. The system sets it, once.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// URL is the address of the workspace by its path, or, if the workspace is mounted, the address of the target. The system sets it.
	// +optional
	URL string `json:"URL,omitempty"`
	// mount makes the workspace show the target of another object instead of a logical cluster of its own. It cannot be added, changed or removed
	// later. A mounted workspace has no type. The server refuses it unless its operator has enabled mounts.
	// +optional
	Mount *Mount `json:"mount,omitempty"`
}

// WorkspaceTypeReference names a WorkspaceType.
type WorkspaceTypeReference struct {
	// name is the name of the WorkspaceType.
	// +required
	Name WorkspaceTypeName `json:"name"`
	// path is the path or the name of the workspace that contains the WorkspaceType. In a Workspace, it is optional. The
	// server then looks for the type in the parent workspace, in each workspace above it, and last in root, and sets the path.
	// +optional
	Path string `json:"path,omitempty"`
}

// WorkspaceTypeName is the name of a WorkspaceType: lower-case letters, digits and dashes, a letter first.
type WorkspaceTypeName string

// WorkspaceLocation limits the shards for a workspace.
type WorkspaceLocation struct {
	// selector selects shards by their labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Mount selects the object that a workspace shows.
type Mount struct {
	// ref refers to an object in the workspace that contains the Workspace. It cannot be changed.
	// +required
	Reference ObjectReference `json:"ref"`
}

// ObjectReference refers to an object in the same workspace.
type ObjectReference struct {
	// apiVersion is the group and version of the object.
	// +required
	APIVersion string `json:"apiVersion"`
	// kind is the kind of the object.
	// +required
	Kind string `json:"kind"`
	// name is the name of the object.
	// +required
	Name string `json:"name"`
	// namespace is the namespace of the object, if it has one.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// WorkspaceStatus is the observed state of a workspace.
type WorkspaceStatus struct {
	// phase is the phase of the workspace.
	// +optional
	// +default="Scheduling"
	Phase corev1alpha1.LogicalClusterPhaseType `json:"phase,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// initializers repeats the unfinished initializers of the logical cluster.
	// +optional
	// +listType=atomic
	Initializers []corev1alpha1.LogicalClusterInitializer `json:"initializers,omitempty"`
	// terminators repeats the unfinished terminators of the logical cluster.
	// +optional
	// +listType=atomic
	Terminators []corev1alpha1.LogicalClusterTerminator `json:"terminators,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *Workspace) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *Workspace) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// WorkspaceList is a list of Workspaces.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Workspace `json:"items"`
}
