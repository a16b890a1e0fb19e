// Package mount is what answers in a workspace that is mounted: /clusters/<path of the workspace>/... goes to the URL in spec.URL of the Workspace, which
// the controller of workspaces takes from an object of the tenant. So it sends requests where a tenant wants them to go, and shows users answers that a
// tenant makes. What a request passes, in this order:
//
//	authorize.go   to whom it is open: to who may get the Workspace, where that is. Nobody is impersonated
//	forward.go     the Workspace is Ready, or the answer is 503
//	server/virtual/forward   what goes out, as whom, and what comes back
//
// It also answers in a workspace that has lost its logical cluster, whether mounts are enabled or not: its phase is Unavailable, so whoever may get the
// Workspace gets 503.
//
// A stream, such as a watch, ends when the Workspace has another URL, is not Ready, or is in a cluster that is switched off.
package mount
