package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// ClusterCachedResourceEndpointSliceKind is the kind by which an APIExport refers to a slice.
const ClusterCachedResourceEndpointSliceKind = "ClusterCachedResourceEndpointSlice"

// Conditions of a ClusterCachedResourceEndpointSlice and their reasons.
const (
	// ClusterCachedResourceValid says whether the ClusterCachedResource exists and is ready.
	ClusterCachedResourceValid conditionsv1alpha1.ConditionType = "ClusterCachedResourceValid"
	// APIExportValid says whether the APIExport exists and can refer to the slice.
	APIExportValid conditionsv1alpha1.ConditionType = "APIExportValid"
	// PartitionValid says whether the Partition exists and can be used.
	PartitionValid conditionsv1alpha1.ConditionType = "PartitionValid"
	// ClusterCachedResourceNotFoundReason means that the ClusterCachedResource does not exist in the workspace of the slice.
	ClusterCachedResourceNotFoundReason = "ClusterCachedResourceNotFound"
	// ClusterCachedResourceNotReadyReason means that others cannot read the objects of the ClusterCachedResource.
	ClusterCachedResourceNotReadyReason = "ClusterCachedResourceNotReady"
	// APIExportNotFoundReason means that the APIExport does not exist in the workspace of the slice.
	APIExportNotFoundReason = "APIExportNotFound"
)

// ClusterCachedResourceEndpointSlice offers the objects of a ClusterCachedResource to the workspaces that bind an APIExport. The APIExport
// refers to the slice in the virtual storage of a resource.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClusterCachedResourceEndpointSlice struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec says what is offered to whom.
	// +optional
	Spec ClusterCachedResourceEndpointSliceSpec `json:"spec,omitempty"`
	// status contains the endpoints.
	// +optional
	Status ClusterCachedResourceEndpointSliceStatus `json:"status,omitempty"`
}

// ClusterCachedResourceEndpointSliceSpec says what is offered to whom.
type ClusterCachedResourceEndpointSliceSpec struct {
	// clusterCachedResource names the ClusterCachedResource, which must be in the workspace of the slice. It cannot be changed.
	// +required
	ClusterCachedResource ClusterCachedResourceReference `json:"clusterCachedResource"`
	// export names the APIExport whose consumers can read the objects. It must be in the workspace of the slice. It cannot be changed.
	// +required
	APIExport ExportBindingReference `json:"export"`
	// partition names a Partition in the same workspace. Only its shards are listed. If not set, all shards are listed.
	// +optional
	Partition string `json:"partition,omitempty"`
}

// ClusterCachedResourceReference refers to a ClusterCachedResource.
type ClusterCachedResourceReference struct {
	// path is the path of the workspace of the slice, or empty.
	// +optional
	Path string `json:"path,omitempty"`
	// name is the name of the ClusterCachedResource.
	// +required
	Name string `json:"name"`
}

// ExportBindingReference refers to an APIExport.
type ExportBindingReference struct {
	// path is the path of the workspace of the slice, or empty.
	// +optional
	Path string `json:"path,omitempty"`
	// name is the name of the APIExport.
	// +required
	Name string `json:"name"`
}

// ClusterCachedResourceEndpointSliceStatus contains the endpoints.
type ClusterCachedResourceEndpointSliceStatus struct {
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// endpoints are the addresses, one for each shard with a consumer.
	// +optional
	// +listType=map
	// +listMapKey=url
	Endpoints []ClusterCachedResourceEndpoint `json:"endpoints,omitempty"`
	// shardSelector is the selector of the partition, as a string.
	// +optional
	ShardSelector string `json:"shardSelector,omitempty"`
}

// ClusterCachedResourceEndpoint is one address.
type ClusterCachedResourceEndpoint struct {
	// url is the address.
	// +required
	URL string `json:"url"`
}

// GetConditions returns the conditions of the status.
func (in *ClusterCachedResourceEndpointSlice) GetConditions() conditionsv1alpha1.Conditions {
	return in.Status.Conditions
}

// SetConditions replaces the conditions of the status.
func (in *ClusterCachedResourceEndpointSlice) SetConditions(c conditionsv1alpha1.Conditions) {
	in.Status.Conditions = c
}

// ClusterCachedResourceEndpointSliceList is a list of ClusterCachedResourceEndpointSlices.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClusterCachedResourceEndpointSliceList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []ClusterCachedResourceEndpointSlice `json:"items"`
}
