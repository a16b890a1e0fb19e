// Package fairness keeps one workspace from using up the server: it is the step of the chain between authorization and the
// router, and decides when a request may go on.
//
// A request belongs to a flow, which is the cluster that it is for (flow.go). Reads and writes have a [pool] each:
//
//		request ─► room to wait? ─► seats of its flow ─► seats of the server ─► router
//		           budget.go        pool.go               pool.go
//
//	  - Each flow has a few seats, so that a flooding one waits for itself while the server has time for the others. In a flow
//	    users take turns: one of them does not keep out the rest.
//	  - All flows together have as many seats as the server wants requests in flight. Flows take turns there.
//	  - Who has to wait does so for a bounded time; how many may wait depends on the room that is left. Who may not wait any
//	    longer is answered with 429 and Retry-After.
//
// Both kinds of turns are the stock fair queuing of k8s.io/apiserver. What costs much (a list of everything) takes several
// seats. A watch keeps its seats until it has begun; open watches have a budget of their own. A request whose client does
// not read or send gives its seats back (stall.go): a slow client must not hold what others wait for.
//
// It stands behind authorization, since anybody can write the name of a cluster into a URL: only who is let into a cluster
// uses its share. What is refused on the way never waits and holds no seat.
//
// Nothing is kept for a flow that has no request. Health and the discovery for a host are answered by the front door and
// never come here; nor do the server's own clients, and its loopback identity passes.
package fairness
