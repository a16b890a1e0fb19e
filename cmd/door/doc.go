// Package door finds the route to workspaces that a server offers: through the API server of a host cluster, or at Annex's own
// endpoint. It is for commands, which know only the URL in a kubeconfig.
//
//	door.go     what the URL says, and the URLs of workspaces on the same route
//	detect.go   what the server says, if its URL does not tell
//	ask.go      the requests to the server
package door
