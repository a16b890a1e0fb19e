// Package mount is what answers in a workspace that is mounted: /clusters/<path of the workspace>/... goes to the URL in spec.URL of the Workspace, which
// the controller of workspaces takes from an object of the tenant. So it sends requests where a tenant wants them to go, and shows users answers that a
// tenant makes. What a request passes, in this order:
//
//	authorize.go   to whom it is open: to who may get the Workspace, where that is. Nobody is impersonated
//	forward.go     the Workspace is Ready, or the answer is 503. Methods, paths and the number of servers on the way are checked
//	identity.go    who the user is there. Who is somebody only here, such as a user of an issuer that a tenant chose, is refused
//	headers.go     of what the client sent and of what the target answers, only headers on a list
//	transport.go   the connection: the guard for requests of tenants checks the address, and the client certificate of the server says that the headers
//	               with the identity are from it
//	answer.go      no redirect, no 401, nothing for browsers
//
// Nothing of the client's credentials goes out. A stream, such as a watch, ends when the Workspace has another URL, is not Ready, or is in a cluster that is
// switched off.
package mount
