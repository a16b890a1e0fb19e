package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// Annotations and labels of a Workspace.
const (
	// WorkspacePhaseLabel repeats status.phase, so that a selector can ask for it.
	WorkspacePhaseLabel = "tenancy.kcp.io/phase"
	// WorkspaceInitializerLabelPrefix begins the key of the label that a Workspace has for each initializer at work.
	WorkspaceInitializerLabelPrefix = "initializer.internal.kcp.io/"
	// WorkspaceTerminatorLabelPrefix begins the key of the label that a Workspace has for each terminator at work.
	WorkspaceTerminatorLabelPrefix = "terminator.internal.kcp.io/"
	// ExperimentalWorkspaceOwnerAnnotationKey holds who created the Workspace, as the JSON of a UserInfo.
	ExperimentalWorkspaceOwnerAnnotationKey = "experimental.tenancy.kcp.io/owner"
	// WorkspaceShardHashAnnotationKey holds the hash of the name of the shard that was chosen.
	WorkspaceShardHashAnnotationKey = "internal.tenancy.kcp.io/shard"
	// WorkspaceClusterAnnotationKey holds the name of the logical cluster that was chosen.
	WorkspaceClusterAnnotationKey = "internal.tenancy.kcp.io/cluster"
	// IsMountAnnotationKey marks objects that a Workspace may be mounted on.
	IsMountAnnotationKey = "experimental.tenancy.kcp.io/is-mount"
)

// Conditions of a Workspace, besides those that it mirrors from its LogicalCluster.
const (
	// WorkspaceScheduled says whether the workspace has a place.
	WorkspaceScheduled conditionsv1alpha1.ConditionType = "WorkspaceScheduled"
	// MountConditionReady says whether the object that the workspace is mounted on is ready.
	MountConditionReady conditionsv1alpha1.ConditionType = "WorkspaceMountReady"
)

// Reasons of those conditions.
const (
	// WorkspaceReasonUnschedulable means that no shard fits.
	WorkspaceReasonUnschedulable = "Unschedulable"
	// WorkspaceReasonReasonUnknown means that placing failed for a reason that the message tells.
	WorkspaceReasonReasonUnknown = "Unknown"
	// MountAnnotationInvalidReason means that the object is not marked as one to mount on.
	MountAnnotationInvalidReason = "MountAnnotationInvalid"
	// MountObjectNotFoundReason means that the object does not exist.
	MountObjectNotFoundReason = "MountObjectNotFound"
	// MountObjectNotReadyReason means that the object is not ready.
	MountObjectNotReadyReason = "MountObjectNotReady"
)

// Workspace is an entry in the workspace tree: it makes a logical cluster and gives it the name under which it is found
// below the workspace that holds this object.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Workspace struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is one segment of the path: at most 63 lower-case letters, digits and dashes.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what is wanted.
	// +optional
	Spec WorkspaceSpec `json:"spec,omitempty"`
	// status is what was found.
	// +optional
	Status WorkspaceStatus `json:"status,omitempty"`
}

// WorkspaceSpec is what is wanted of a workspace.
type WorkspaceSpec struct {
	// type is the kind of workspace. Left out, it is the default child type of the workspace that holds this one. It cannot be changed.
	// +optional
	Type *WorkspaceTypeReference `json:"type,omitempty"`
	// location says where the workspace may be placed. It matters only until it has a place.
	// +optional
	Location *WorkspaceLocation `json:"location,omitempty"`
	// cluster is the name of the logical cluster of this workspace. The system sets it, once.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// URL is the address of the workspace by its path. The system sets it.
	// +optional
	URL string `json:"URL,omitempty"`
	// mount makes the workspace show what another object stands for instead of a logical cluster of its own. Not supported yet.
	// +optional
	Mount *Mount `json:"mount,omitempty"`
}

// WorkspaceTypeReference names a WorkspaceType.
type WorkspaceTypeReference struct {
	// name is the name of the WorkspaceType.
	// +required
	Name WorkspaceTypeName `json:"name"`
	// path is the path or the name of the workspace that holds the WorkspaceType. In a Workspace it may be left out: the
	// type is then looked for in the workspace itself, in each one above, and last in root; the path of the hit is filled in.
	// +optional
	Path string `json:"path,omitempty"`
}

// WorkspaceTypeName is the name of a WorkspaceType: lower-case letters, digits and dashes, a letter first.
type WorkspaceTypeName string

// WorkspaceLocation says where a workspace may be placed.
type WorkspaceLocation struct {
	// selector picks shards by their labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Mount says which object a workspace shows.
type Mount struct {
	// ref points to the object, in the workspace that holds the Workspace. It cannot be changed.
	// +required
	Reference ObjectReference `json:"ref"`
}

// ObjectReference points to an object in the same workspace.
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

// WorkspaceStatus is what was found of a workspace.
type WorkspaceStatus struct {
	// phase is where the workspace stands in its life.
	// +optional
	// +default="Scheduling"
	Phase corev1alpha1.LogicalClusterPhaseType `json:"phase,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// initializers repeats those of the logical cluster that are not done yet.
	// +optional
	// +listType=atomic
	Initializers []corev1alpha1.LogicalClusterInitializer `json:"initializers,omitempty"`
	// terminators repeats those of the logical cluster that still have work to do.
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
