// Package hostile attacks a server over HTTP, as its tenants and as strangers can. attacks.go lists all attacks.
//
// An attack says what the server must answer, and everywhere the same holds (scene.go): no answer is 500 or above, except 501 and 504,
// no answer has what belongs to another tenant, the objects of that tenant stay as they are, and the server stays ready.
//
// Two programs run the list. The test of this package runs small numbers, and says nothing about time. The load program
// (`bin/load --figures hostile`, part of `make bench`) runs large ones, and tells what a quiet tenant notices, and what is left in
// memory and in the metrics. Each attack ends: it is bounded in count, and by its context.
//
//	scene.go       the tenants: who attacks, and who must not notice
//	tenant.go      requests of one user, and the judgment of each answer
//	raw.go         requests that no HTTP client sends
//	schemas.go, definitions.go, watches.go, refusals.go, children.go, fill.go     what takes time or memory
//	rights.go, addresses.go, headers.go, bombs.go                        what tries to get more than is allowed
//
// It relies only on the API on the wire, as test/load does.
package hostile
