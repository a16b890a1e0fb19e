package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Conditions of an APIExportEndpointSlice and their reasons.
const (
	// APIExportValid says whether the APIExport exists.
	APIExportValid conditionsv1alpha1.ConditionType = "APIExportValid"
	// PartitionValid says whether the Partition exists and can be used.
	PartitionValid conditionsv1alpha1.ConditionType = "PartitionValid"
	// APIExportEndpointSliceURLsReady says whether the endpoints are complete. Kept for old clients.
	APIExportEndpointSliceURLsReady conditionsv1alpha1.ConditionType = "EndpointURLsReady"
	// APIExportNotFoundReason means that the APIExport does not exist.
	APIExportNotFoundReason = "APIExportNotFound"
	// InternalErrorReason means a fault of the server.
	InternalErrorReason = "InternalError"
	// PartitionInvalidReferenceReason means that the Partition does not exist or is malformed.
	PartitionInvalidReferenceReason = "PartitionInvalidReference"
)

// APIExportEndpointSlice lists the addresses at which the owner of an APIExport can work on the objects of all its consumers.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExportEndpointSlice struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec selects the endpoints to list.
	// +optional
	Spec APIExportEndpointSliceSpec `json:"spec,omitempty"`
	// status contains the endpoints.
	// +optional
	Status APIExportEndpointSliceStatus `json:"status,omitempty"`
}

// APIExportEndpointSliceSpec selects the endpoints to list.
type APIExportEndpointSliceSpec struct {
	// export names the APIExport. It cannot be changed.
	// +required
	APIExport ExportBindingReference `json:"export"`
	// partition names a Partition in the same workspace. Only its shards are listed. If not set, all shards are listed.
	// +optional
	Partition string `json:"partition,omitempty"`
}

// APIExportEndpointSliceStatus contains the endpoints.
type APIExportEndpointSliceStatus struct {
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// endpoints are the addresses, one for each shard with a consumer.
	// +optional
	// +listType=map
	// +listMapKey=url
	APIExportEndpoints []APIExportEndpoint `json:"endpoints,omitempty"`
	// shardSelector is the selector of the partition, as a string.
	// +optional
	ShardSelector string `json:"shardSelector,omitempty"`
}

// APIExportEndpoint is one address.
type APIExportEndpoint struct {
	// url is the address.
	// +required
	URL string `json:"url"`
	// shards selects the shards whose consumers are served at the address. If not set, it is the shard that the address leads to.
	// +optional
	Shards *EndpointShards `json:"shards,omitempty"`
}

// EndpointShards selects shards: all, or those with some labels. Exactly one of the fields is set.
type EndpointShards struct {
	// matchAll selects all shards.
	// +optional
	MatchAll bool `json:"matchAll,omitempty"`
	// selector selects shards by their labels.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *APIExportEndpointSlice) GetConditions() conditionsv1alpha1.Conditions {
	return in.Status.Conditions
}

// SetConditions replaces the conditions of the status.
func (in *APIExportEndpointSlice) SetConditions(c conditionsv1alpha1.Conditions) {
	in.Status.Conditions = c
}

// APIExportEndpointSliceList is a list of APIExportEndpointSlices.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExportEndpointSliceList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIExportEndpointSlice `json:"items"`
}
