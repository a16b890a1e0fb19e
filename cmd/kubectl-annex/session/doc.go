// Package session is one call of a command: a user, a server, and the workspace that the context of the kubeconfig leads to.
//
//	session.go    opening it from flags, and clients for workspaces
//	resolve.go    from what a user typed to the URL of a workspace, which takes requests for home workspaces
//	config.go     what the kubeconfig lacks
//	missing.go    which workspace a user may have meant by one that does not exist
//	check.go      whether a workspace exists and the user may enter it
//	fault.go      a server that does not answer, and credentials that are not valid
//
// Everything works through a host cluster and at Annex's own endpoint. cmd/door knows the difference.
package session
