// Package v1 has the types of a provider.
//
// +k8s:deepcopy-gen=package
// +groupName=example.org
package v1
