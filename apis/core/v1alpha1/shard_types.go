package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// ShardNameLabelKey is the label that contains the name of the Shard, for use in location selectors.
const ShardNameLabelKey = "name"

// Shard is an installation that contains logical clusters: one etcd with its servers. Each shard registers itself in the
// root workspace when it starts.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Shard struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec contains the addresses of the shard.
	// +optional
	Spec ShardSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status ShardStatus `json:"status,omitempty"`
}

// ShardSpec contains the addresses of a shard.
type ShardSpec struct {
	// baseURL is the address at which other shards reach this one.
	// +required
	BaseURL string `json:"baseURL"`
	// externalURL is the address that users see, for example in Workspaces. If not set, it is baseURL.
	// +optional
	ExternalURL string `json:"externalURL,omitempty"`
	// virtualWorkspaceURL is the address below which the shard serves virtual workspaces. If not set, it is baseURL.
	// +optional
	VirtualWorkspaceURL string `json:"virtualWorkspaceURL,omitempty"`
}

// ShardStatus is the observed state of a shard.
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
