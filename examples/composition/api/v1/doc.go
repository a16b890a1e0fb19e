// Package v1 has the API that the composition offers: an App is a database and an address, which come from two other providers.
//
// +k8s:deepcopy-gen=package
package v1
