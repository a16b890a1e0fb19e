// Package kubeconfig makes kubeconfigs for workspaces and for providers' endpoints, as `annex kubeconfig` does.
//
//	source.go        the context to start from: a cluster, and the credentials of a user
//	target.go        the target: a workspace or an APIExport, by path or relative to that context
//	ask.go           the requests to the server
//	administrator.go whose credentials are not copied
//	make.go          the new context
//	merge.go         adding it to a file, in which only entries that this package made change
//	file.go          the file that it belongs in
//
// cmd/door finds the route to a target, and cmd/configfile changes the file.
// The credentials do not change: exec plugins, impersonation and files are those of the context to start from.
package kubeconfig
