package v1alpha1

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// LogicalClusterName is the name of the only LogicalCluster that a logical cluster contains.
const LogicalClusterName = "cluster"

// LogicalClusterPhaseType is a phase in the lifecycle of a logical cluster.
// +enum
type LogicalClusterPhaseType string

const (
	// LogicalClusterPhaseScheduling means that no shard was chosen yet.
	LogicalClusterPhaseScheduling LogicalClusterPhaseType = "Scheduling"
	// LogicalClusterPhaseInitializing means that some initializers are not finished.
	LogicalClusterPhaseInitializing LogicalClusterPhaseType = "Initializing"
	// LogicalClusterPhaseReady means that users can work in the logical cluster.
	LogicalClusterPhaseReady LogicalClusterPhaseType = "Ready"
	// LogicalClusterPhaseUnavailable means that the logical cluster was ready but cannot be reached at the moment.
	LogicalClusterPhaseUnavailable LogicalClusterPhaseType = "Unavailable"
	// LogicalClusterPhaseInactive means that an annotation made the logical cluster inactive.
	LogicalClusterPhaseInactive LogicalClusterPhaseType = "Inactive"
	// LogicalClusterPhaseTerminating means that the logical cluster is being deleted and terminators are working on its content.
	LogicalClusterPhaseTerminating LogicalClusterPhaseType = "Terminating"
	// LogicalClusterPhaseDeleting means that the content of the logical cluster is being deleted.
	LogicalClusterPhaseDeleting LogicalClusterPhaseType = "Deleting"
)

// LogicalClusterInitializer names an initializer, which must finish before a logical cluster is ready. The name is the cluster and
// the name of a WorkspaceType joined by a colon, or "system:" and a name.
type LogicalClusterInitializer string

// LogicalClusterTerminator names a terminator, which must finish before the content of a logical cluster is deleted. It has the
// same form as the name of an initializer.
type LogicalClusterTerminator string

// Finalizers of workspaces and logical clusters.
const (
	// LogicalClusterFinalizer keeps a Workspace until the content of its logical cluster is gone.
	LogicalClusterFinalizer = "core.kcp.io/logicalcluster"
	// LogicalClusterDeletionFinalizer keeps a LogicalCluster until all its content is gone.
	LogicalClusterDeletionFinalizer = "core.kcp.io/logicalcluster-deletion"
	// LogicalClusterHasTerminatorsFinalizer keeps a LogicalCluster while it has terminators.
	LogicalClusterHasTerminatorsFinalizer = "kcp.io/has-terminators"
)

// LogicalClusterTerminatingCause is the cause of a Forbidden error for the creation of an object in a logical cluster that is being
// deleted, or no longer exists.
const LogicalClusterTerminatingCause metav1.CauseType = "LogicalClusterTerminating"

// Annotations and labels of workspaces and logical clusters.
const (
	// LogicalClusterTypeAnnotationKey contains the type of a logical cluster as path:name, such as root:universal.
	LogicalClusterTypeAnnotationKey = "internal.tenancy.kcp.io/type"
	// LogicalClusterInactiveAnnotationKey makes a logical cluster inactive if its value is "true".
	LogicalClusterInactiveAnnotationKey = "core.kcp.io/inactive"
	// LegacyLogicalClusterInactiveAnnotationKey is the older spelling of LogicalClusterInactiveAnnotationKey.
	LegacyLogicalClusterInactiveAnnotationKey = "internal.kcp.io/inactive"
	// LogicalClusterShardAnnotationKey contains the name of the shard of a logical cluster.
	LogicalClusterShardAnnotationKey = "core.kcp.io/shard"
	// ReplicateAnnotationKey marks objects that other shards need to see.
	ReplicateAnnotationKey = "internal.kcp.io/replicate"
	// RequiredGroupsAnnotationKey contains the groups that a user must be in to enter a logical cluster.
	RequiredGroupsAnnotationKey = "authorization.kcp.io/required-groups"
	// MaxTotalObjectsAnnotationKey limits how many objects a logical cluster stores, for example "1000"; 0 or less means no limit. On a
	// LogicalCluster it overrides the default of the server. On a WorkspaceType it is for workspaces that are created with the type,
	// and can only be lower than the default.
	MaxTotalObjectsAnnotationKey = "core.kcp.io/max-total-objects"
	// MaxTotalBytesAnnotationKey limits how many bytes these objects take in etcd, for example "100Mi", in the same way.
	MaxTotalBytesAnnotationKey = "annex.dev/max-total-bytes"
	// TypeLimitsAnnotationKey contains, on a LogicalCluster, the limits of the types with which it was created: a JSON object with the
	// numbers "objects" and "bytes", 0 for no limit.
	TypeLimitsAnnotationKey = "internal.annex.dev/type-limits"
	// MadeFromAnnotationKey contains, on a LogicalCluster, the template by which the storage shows what the cluster contains from the
	// beginning, and the values of the cluster in it. It is set when the LogicalCluster is created, and never changes.
	MadeFromAnnotationKey = "internal.annex.dev/made-from"
	// TypeClustersAnnotationKey contains, on a LogicalCluster, the names of the logical clusters, separated by commas, that contain the types
	// with which it was created; without root. The logical cluster follows changes of types in these clusters only.
	TypeClustersAnnotationKey = "internal.annex.dev/type-clusters"
	// UnschedulableAnnotationKey prevents new logical clusters on a Shard.
	UnschedulableAnnotationKey = "experimental.core.kcp.io/unschedulable"
)

// Conditions of a LogicalCluster, and of its Workspace, which mirrors them.
const (
	// WorkspaceInitialized says whether all initializers are done.
	WorkspaceInitialized conditionsv1alpha1.ConditionType = "WorkspaceInitialized"
	// WorkspaceContentDeleted says whether the content is gone.
	WorkspaceContentDeleted conditionsv1alpha1.ConditionType = "WorkspaceContentDeleted"
	// APIBindingsInitialized says whether the default bindings are bound.
	APIBindingsInitialized conditionsv1alpha1.ConditionType = "APIBindingsInitialized"
	// APIBindingsReconciled says whether default bindings with lifecycle Maintain match their type.
	APIBindingsReconciled conditionsv1alpha1.ConditionType = "APIBindingsReconciled"
)

// Reasons of those conditions.
const (
	// InitializerExistsReason means that some initializers are not finished.
	InitializerExistsReason = "InitializerExists"
	// WorkspaceDisappearedReason means that the logical cluster of a Workspace is gone.
	WorkspaceDisappearedReason = "WorkspaceDisappeared"
	// DiscoveryFailedReason means that the resources in the logical cluster could not be determined.
	DiscoveryFailedReason = "DiscoveryFailed"
	// ContentDeletionFailedReason means that some content could not be deleted.
	ContentDeletionFailedReason = "ContentDeletionFailed"
	// SomeResourcesRemainReason means that objects remain, for example because of finalizers.
	SomeResourcesRemainReason = "SomeResourcesRemain"
	// WaitingOnAPIBindingsReason means that default bindings are not bound yet.
	WaitingOnAPIBindingsReason = "WaitingOnAPIBindings"
	// WorkspaceTypesInvalidReason means that the type of the workspace could not be resolved.
	WorkspaceTypesInvalidReason = "WorkspaceTypesInvalid"
	// APIBindingErrorsReason means that a default binding could not be written.
	APIBindingErrorsReason = "APIBindingErrors"
)

// LogicalCluster represents a logical cluster. The object is inside the logical cluster and is always called "cluster". It shows the
// phase of the logical cluster and the URL at which it is served.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type LogicalCluster struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is always "cluster".
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is the desired state.
	// +optional
	Spec LogicalClusterSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status LogicalClusterStatus `json:"status,omitempty"`
}

// LogicalClusterSpec is the desired state of a logical cluster.
type LogicalClusterSpec struct {
	// directlyDeletable allows users to delete this object. If it is false, they delete the Workspace instead. Only operators can
	// change it.
	// +optional
	DirectlyDeletable bool `json:"directlyDeletable,omitempty"`
	// owner is the object that this logical cluster belongs to, usually a Workspace. Deleting one of them also deletes the other.
	// +optional
	Owner *LogicalClusterOwner `json:"owner,omitempty"`
	// createdBy is the user who created it.
	// +optional
	CreatedBy *authenticationv1.UserInfo `json:"createdBy,omitempty"`
	// initializers are copied to the status when the logical cluster enters phase Initializing. They are set at creation.
	// +optional
	// +listType=atomic
	Initializers []LogicalClusterInitializer `json:"initializers,omitempty"`
	// terminators are copied to the status when the logical cluster enters phase Initializing. They are set at creation.
	// +optional
	// +listType=atomic
	Terminators []LogicalClusterTerminator `json:"terminators,omitempty"`
}

// LogicalClusterOwner refers to the object that a logical cluster belongs to.
type LogicalClusterOwner struct {
	// apiVersion is the group and version of the owner, such as tenancy.kcp.io/v1alpha1.
	// +required
	APIVersion string `json:"apiVersion"`
	// resource is the plural name of the owner's resource, such as workspaces.
	// +required
	Resource string `json:"resource"`
	// name is the name of the owner.
	// +required
	Name string `json:"name"`
	// namespace is the namespace of the owner, if it has one.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// cluster is the name of the logical cluster that contains the owner.
	// +required
	Cluster string `json:"cluster"`
	// uid is the UID of the owner.
	// +required
	UID types.UID `json:"uid"`
}

// LogicalClusterStatus is the observed state of a logical cluster.
type LogicalClusterStatus struct {
	// URL is the address of the logical cluster by its name, which stays the same when workspaces above it are renamed.
	// +optional
	URL string `json:"URL,omitempty"`
	// phase is the phase of the logical cluster.
	// +optional
	// +default="Scheduling"
	Phase LogicalClusterPhaseType `json:"phase,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// initializers are the unfinished initializers. Each one removes itself. When the list is empty, the logical cluster is ready.
	// +optional
	// +listType=atomic
	Initializers []LogicalClusterInitializer `json:"initializers,omitempty"`
	// terminators are the terminators that must still finish before the content is deleted. Each one removes itself.
	// +optional
	// +listType=atomic
	Terminators []LogicalClusterTerminator `json:"terminators,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *LogicalCluster) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *LogicalCluster) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// LogicalClusterList is a list of LogicalClusters.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type LogicalClusterList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []LogicalCluster `json:"items"`
}
