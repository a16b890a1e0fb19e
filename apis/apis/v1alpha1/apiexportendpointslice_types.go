package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Conditions of an APIExportEndpointSlice and their reasons.
const (
	// APIExportValid says whether the APIExport is there.
	APIExportValid conditionsv1alpha1.ConditionType = "APIExportValid"
	// PartitionValid says whether the Partition is there and can be worked with.
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

// APIExportEndpointSlice lists the addresses at which the owner of an APIExport works on the objects of all its consumers.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIExportEndpointSlice struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says which endpoints are listed.
	// +optional
	Spec APIExportEndpointSliceSpec `json:"spec,omitempty"`
	// status holds the endpoints.
	// +optional
	Status APIExportEndpointSliceStatus `json:"status,omitempty"`
}

// APIExportEndpointSliceSpec says which endpoints are listed.
type APIExportEndpointSliceSpec struct {
	// export names the APIExport. It cannot be changed.
	// +required
	APIExport ExportBindingReference `json:"export"`
	// partition names a Partition in the same workspace: only its shards are listed. Left out, all are.
	// +optional
	Partition string `json:"partition,omitempty"`
}

// APIExportEndpointSliceStatus holds the endpoints.
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
	// shardSelector is the selector of the partition, in the form of a string.
	// +optional
	ShardSelector string `json:"shardSelector,omitempty"`
}

// APIExportEndpoint is one address.
type APIExportEndpoint struct {
	// url is the address.
	// +required
	URL string `json:"url"`
	// shards picks the shards whose consumers are served there. Left out, it is the one that the address leads to.
	// +optional
	Shards *EndpointShards `json:"shards,omitempty"`
}

// EndpointShards picks shards: all, or those with some labels. Exactly one of the fields is set.
type EndpointShards struct {
	// matchAll picks all shards.
	// +optional
	MatchAll bool `json:"matchAll,omitempty"`
	// selector picks shards by their labels.
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
