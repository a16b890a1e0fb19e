// Package fairness prevents one workspace from using up the server. It is step 3 of docs/request.md, between authorization and the
// router, and decides when a request may proceed.
//
// A request uses the share of its cluster, and that is a part of the share of its tenant: the branch of the tree below the root that the
// cluster is in (flow.go). It passes these stages, if necessary after a wait:
//
//		request ─► room to wait? ─► seats of its cluster, then of its tenant ─► room in the server? ─► router
//		           budget.go        line.go, pool.go                            budget.go
//
//	  - Each tenant has a few seats, so that one that floods the server waits for itself, and the server has time for the others. In a
//	    tenant its clusters take turns, and in a cluster its users. Who has no rivals has more seats (rivalry.go). The
//	    stock fair queuing of k8s.io/apiserver decides the turns. An expensive request (a list of everything) takes several seats.
//	  - The requests of a tenant with several of them give way at the processors while others are active (registry/nice). A seat says how
//	    much of a tenant is at work at a time, not who gets a free processor first. What controllers do for the tenant gives way, too ([Limiter.Work]).
//	  - A request waits for a limited time. How many requests of a cluster, and of a tenant, may wait depends on the free room.
//	  - All requests in flight together are limited, separately for reads and writes.
//	  - A request that finds no room, or that has waited too long, gets 429 with Retry-After.
//
// A request holds its seats until its handler returns, which is not before its work has ended (registry/lasting). A request that waits
// for a slow client gives its seats to others, and waits for new ones before it continues (turn.go, client.go). So does one that waits for a
// webhook of the provider of a bound resource, which takes a place from the share of the provider ([OnAccount]). A watch is in flight
// until it has begun; open watches have a budget of their own. So has the memory for answers (held.go).
//
// It comes after authorization, because anybody can write the name of a cluster into a URL: only users who may enter a cluster use its
// share. A refused request never waits and has no seat.
//
// Nothing is kept for a cluster that has no request. The front door answers health checks and the discovery for a host, so
// these never come here. Neither do the server's own clients. The server's loopback identity passes without limits.
package fairness
