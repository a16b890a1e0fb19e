// Package fairness keeps one workspace from using up the server: it is step 3 of docs/request.md, between authorization and
// the router, and decides when a request may go on.
//
// A request belongs to a flow, which is the cluster that it is for (flow.go). It passes, if need be after a wait:
//
//		request ─► room to wait? ─► seats of its flow ─► room in the server? ─► router
//		           budget.go        pool.go               budget.go
//
//	  - Each flow has a few seats, so that a flooding one waits for itself while the server has time for the others. In a flow
//	    users take turns: one of them does not keep out the rest. While nobody else is there a flow has more (rivalry.go).
//	    Turns are the stock fair queuing of k8s.io/apiserver. What costs much (a list of everything) takes several seats.
//	  - Who has to wait does so for a bounded time; how many may wait depends on the room that is left.
//	  - All flows together have as many requests in flight as the server wants, reads and writes apart.
//	  - Who finds no room, or has waited too long, is answered with 429 and Retry-After.
//
// A watch is in flight until it has begun; open watches have a budget of their own. A request that takes long gives its seats
// to others (limiter.go): slow clients and a slow etcd must not hold what others wait for.
//
// It stands behind authorization, since anybody can write the name of a cluster into a URL: only who is let into a cluster
// uses its share. What is refused on the way never waits and holds no seat.
//
// Nothing is kept for a flow that has no request. Health and the discovery for a host are answered by the front door and
// never come here; nor do the server's own clients, and its loopback identity passes.
package fairness
