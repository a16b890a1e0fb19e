// Package v1alpha1 is cache.kcp.io/v1alpha1: [ClusterCachedResource], which marks objects of a workspace that other workspaces may read
// through an APIExport, and [ClusterCachedResourceEndpointSlice], to which such an APIExport refers.
//
// It contains types and their registration; validation is in apis/cache/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.cache.v1alpha1
// +groupName=cache.kcp.io
package v1alpha1
