// Package v1alpha2 is apis.kcp.io/v1alpha2: [APIExport] and [APIBinding], by which an API is offered in one workspace and
// used in others. It is the version that is stored and that all code works with; apis/apis/v1alpha1 converts to it.
//
// It holds types, defaults and their registration; what is valid is in apis/apis/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.apis.v1alpha2
// +groupName=apis.kcp.io
package v1alpha2
