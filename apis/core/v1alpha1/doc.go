// Package v1alpha1 is core.kcp.io/v1alpha1: [LogicalCluster], the object that represents a logical cluster, and [Shard],
// an installation that contains logical clusters.
//
// It contains types, defaults and their registration; validation is in apis/core/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.core.v1alpha1
// +groupName=core.kcp.io
package v1alpha1
