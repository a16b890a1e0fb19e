// Package kubeconfig makes kubeconfigs for workspaces and for providers' endpoints, as `annex kubeconfig` does.
//
//	source.go    the context to start from: a cluster, and the credentials of a user
//	target.go    the target: a workspace or an APIExport, by path or relative to that context
//	door.go      the two routes to a target, through a host or at Annex's own endpoint, and which one the context's server offers
//	ask.go       the requests to the server
//	make.go      the new context
//	merge.go     adding it to a file; other entries do not change, byte for byte where YAML allows
//	file.go      locking and writing that file
//
// The credentials do not change: exec plugins, impersonation and files are those of the context to start from.
package kubeconfig
