// Package v1 has the API that the route operator offers: a Route is a public address.
//
// +k8s:deepcopy-gen=package
package v1
