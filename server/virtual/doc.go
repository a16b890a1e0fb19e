// Package virtual says what a virtual endpoint is: an API server below /services/ that shows a filtered view of what lies
// in many logical clusters. The front door turns a URL into an [Endpoint] with [Parse] and puts it into the context beside
// the target cluster; the authorizer and the router take it from there. One folder below holds each kind of endpoint.
//
// It imports only apis/logicalcluster and server/apistatus of ours, so every step of a request may import it.
package virtual
