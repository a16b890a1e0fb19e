package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// ShardNameLabelKey is the label in which a Shard carries its own name, for use in location selectors.
const ShardNameLabelKey = "name"

// Shard is an installation that holds logical clusters: one etcd with the servers in front of it. Each registers itself
// in the root workspace when it starts.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Shard struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says where the shard is reached.
	// +optional
	Spec ShardSpec `json:"spec,omitempty"`
	// status is what was found.
	// +optional
	Status ShardStatus `json:"status,omitempty"`
}

// ShardSpec says where a shard is reached.
type ShardSpec struct {
	// baseURL is the address at which other shards reach this one.
	// +required
	BaseURL string `json:"baseURL"`
	// externalURL is the address that users get to see, in Workspaces for instance. It is baseURL when left out.
	// +optional
	ExternalURL string `json:"externalURL,omitempty"`
	// virtualWorkspaceURL is the address below which the shard serves virtual workspaces. It is baseURL when left out.
	// +optional
	VirtualWorkspaceURL string `json:"virtualWorkspaceURL,omitempty"`
}

// ShardStatus is what was found of a shard.
type ShardStatus struct {
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *Shard) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *Shard) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// ShardList is a list of Shards.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ShardList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Shard `json:"items"`
}
