// Package forward sends requests of users to servers that tenants choose, and shows users what these answer. Mounted workspaces and virtual
// storage of others use it, so that there is one place for what must hold when a request leaves the server:
//
//	forward.go     methods, paths and the number of servers on the way are checked
//	identity.go    who the user is there. Who is somebody only here, such as a user of an issuer that a tenant chose, is refused
//	headers.go     of what the client sent and of what the target answers, only headers on a list
//	transport.go   the connection: the guard for requests of tenants checks the address, and the client certificate of the server says that the headers
//	               with the identity are from it
//	answer.go      no redirect, no 401, nothing for browsers
//
// Nothing of the client's credentials goes out. Whoever calls it decides who may send requests to a target, refuses requests of impersonated users,
// and ends streams (serve.Watches). server/virtual/mount and server/virtual/elsewhere import it.
package forward
