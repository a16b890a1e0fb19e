// Package kubeconfig makes kubeconfigs for workspaces and for providers' endpoints, as `annex kubeconfig` does.
//
//	source.go    the context to begin with: a cluster, and the credentials of a user
//	target.go    what is asked for: a workspace or an APIExport, by path or relative to where that context is
//	door.go      the two ways there, and which of them the context's server offers: through a host, or Annex's own door
//	ask.go       what the server is asked for
//	make.go      the new context
//	merge.go     a file that gets it, whose other entries stay as they are, byte by byte where YAML allows
//	file.go      locking and writing of that file
//
// Nothing is added to the credentials and nothing taken from them: exec plugins, impersonation and files are those of the
// context to begin with.
package kubeconfig
