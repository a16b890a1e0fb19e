// Package v1alpha1 is topology.kcp.io/v1alpha1: [Partition], a selection of shards, and [PartitionSet], which creates
// partitions by the values of shard labels.
//
// It contains types and their registration; validation is in apis/topology/validation. Anyone may import it.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.kcp.topology.v1alpha1
// +groupName=topology.kcp.io
package v1alpha1
