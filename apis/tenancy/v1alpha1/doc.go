// Package v1alpha1 is tenancy.kcp.io/v1alpha1: [Workspace], by which a logical cluster is found and made, and
// [WorkspaceType], which says what new workspaces of a kind are like.
//
// It holds types, defaults and their registration; what is valid is in apis/tenancy/validation, how types extend and limit
// one another in apis/tenancy/typeresolution. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.tenancy.v1alpha1
// +groupName=tenancy.kcp.io
package v1alpha1
