// Package virtual says what a virtual workspace is: an API server below /services/, or in the place of a host's own, that shows a
// filtered view of what is stored in many logical clusters. One folder below holds each of them. The way of a request:
//
//	1 front door  [List.Parse] turns the URL into an [Endpoint] and the cluster that the request is for; both go into the context
//	2 authorizer  [List.Authorize] asks the virtual workspace of the endpoint, which refuses unless it allows
//	4 virtual     [Handler] asks it for the target of a request for objects, or for its discovery, in the place of the router
//	              or, for what enters a cluster ([Entering]), lets the router serve it after all
//	5 serve       serves the target as it serves any other
//
// # Adding one
//
// A virtual workspace is a type that implements [Workspace] in a folder of its own, and one line in the list of
// server/endpoints.go. It may embed [Closed], which has no URL, allows nothing and serves nothing, and write only what it needs.
// One that follows changes has a method Run ([Follower]), and calls serve.Watches.Recheck when a watch may have to end.
package virtual
