package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Conditions of a PartitionSet and their reasons.
const (
	// PartitionSetValid says whether the spec can be used.
	PartitionSetValid conditionsv1alpha1.ConditionType = "PartitionSetValid"
	// PartitionsReady says whether all partitions were created.
	PartitionsReady conditionsv1alpha1.ConditionType = "PartitionsReady"
	// PartitionSetInvalidSelectorReason means that the shard selector is malformed.
	PartitionSetInvalidSelectorReason = "InvalidSelector"
	// ErrorGeneratingPartitionsReason means that a partition could not be written.
	ErrorGeneratingPartitionsReason = "ErrorGeneratingPartitions"
)

// PartitionSet creates one Partition for each combination of values that the shards have for some labels.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type PartitionSet struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says how shards are grouped.
	// +optional
	Spec PartitionSetSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status PartitionSetStatus `json:"status,omitempty"`
}

// PartitionSetSpec says how shards are grouped.
type PartitionSetSpec struct {
	// dimensions are label keys. Shards are grouped by the values of these labels. A shard without one of the labels is in no partition.
	// +optional
	// +listType=atomic
	Dimensions []string `json:"dimensions,omitempty"`
	// shardSelector selects the shards to group. If not set, it selects all shards.
	// +optional
	ShardSelector *metav1.LabelSelector `json:"shardSelector,omitempty"`
}

// PartitionSetStatus is the observed state of a set.
type PartitionSetStatus struct {
	// count is the number of partitions.
	// +optional
	Count int32 `json:"count,omitempty"`
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *PartitionSet) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *PartitionSet) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// PartitionSetList is a list of PartitionSets.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type PartitionSetList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []PartitionSet `json:"items"`
}
