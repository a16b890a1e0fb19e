// Package nice does work on threads that have a higher nice value than the others, so that the kernel lets the others go first when there
// are fewer processors than threads that want one.
//
// The Go runtime gives goroutines no priorities: a short request that arrives while others compute waits for a processor for as long as the
// kernel's shares last, at every step. Seats (server/fairness) limit how many requests of a tenant compute at the same time; this package
// says that those of a tenant with many of them, and work on large schemas (registry/room), are the ones that wait.
//
//	server/fairness ─► [Do]: the handler of a request, and a reconcile of a controller
//	                ├► [With]: the stock handlers of writes work in goroutines of their own, which begin on any thread, and a watch would keep
//	                │          its thread for too long. registry/storage, registry/schema and server/admission move the parts that take long,
//	                │          with [Run]. What the stock handlers do before admission, which is the work on managed fields, stays where it is.
//	                └► [Wait]: before a request that gives way, while others are served ([Serve]): see free.go
//	server/refusals ─► [Wait]: before a request of an origin with many refusals
//	registry/room   ─► [Do]: work on a large schema
//	registry/view   ─► [Run]: what is compiled for such a request
//
// While several tenants are active ([Share]), long work also rests where there are few processors: see rest.go.
//
// A thread that has become nice may not become less nice without privileges. So the work goes to threads that are kept for it, and never
// used for anything else: a goroutine of each is locked to it, and the runtime starts no thread from one that is locked. There are so many of them at
// most: a request keeps its thread while it waits for a slow client.
//
// Elsewhere than on Linux, where priorities belong to processes, work is done where it is.
package nice
