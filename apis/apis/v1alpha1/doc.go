// Package v1alpha1 is apis.kcp.io/v1alpha1: [APIResourceSchema], [APIConversion] and [APIExportEndpointSlice], and the older version
// of APIExport and APIBinding. The older version is served for old clients, converted to v1alpha2 without loss, and never stored.
//
// It contains types, defaults, conversion and their registration; validation is in schemas/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:conversion-gen=github.com/annex-dev/annex/apis/apis/v1alpha2
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.apis.v1alpha1
// +groupName=apis.kcp.io
package v1alpha1
