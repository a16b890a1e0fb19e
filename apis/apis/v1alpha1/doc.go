// Package v1alpha1 is apis.kcp.io/v1alpha1: [APIResourceSchema] and [APIExportEndpointSlice], and the older form of
// APIExport and APIBinding, which is served for old clients, converted to v1alpha2 without loss, and never stored.
//
// It holds types, defaults, conversion and their registration; what is valid is in apis/apis/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:conversion-gen=github.com/annex-dev/annex/apis/apis/v1alpha2
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.apis.v1alpha1
// +groupName=apis.kcp.io
package v1alpha1
