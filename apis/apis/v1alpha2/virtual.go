package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
)

// The kind to which virtual storage refers if the server itself serves the objects, read-only.
const (
	cachedGroup = "cache.kcp.io"
	cachedKind  = "ClusterCachedResourceEndpointSlice"
)

// IsCached reports whether reference, which may be nil, is to a ClusterCachedResourceEndpointSlice.
func IsCached(reference *corev1.TypedLocalObjectReference) bool {
	return reference != nil && reference.APIGroup != nil && *reference.APIGroup == cachedGroup && reference.Kind == cachedKind
}
