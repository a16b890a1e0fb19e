// Package v1alpha2 is apis.kcp.io/v1alpha2: [APIExport] and [APIBinding], which offer an API in one workspace and use
// it in others. This is the version that is stored and that all code uses; apis/apis/v1alpha1 converts to it.
//
// It contains types, defaults and their registration; validation is in schemas/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.apis.v1alpha2
// +groupName=apis.kcp.io
package v1alpha2
