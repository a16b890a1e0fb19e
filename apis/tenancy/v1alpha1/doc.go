// Package v1alpha1 is tenancy.kcp.io/v1alpha1: [Workspace], which names and creates a logical cluster, and
// [WorkspaceType], which defines a type of workspaces.
//
// It contains types, defaults and their registration; validation is in apis/tenancy/validation, how types extend and limit
// one another in apis/tenancy/typeresolution. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.tenancy.v1alpha1
// +groupName=tenancy.kcp.io
package v1alpha1
