// Package remote is the client for programs outside the server, such as the operator of a provider: it implements
// client.Client over HTTP, against Annex or any other server that is compatible with kcp.
//
// It needs a wildcard URL, which covers many logical clusters:
//
//	https://annex/clusters/*                                            every cluster, for system:masters
//	https://annex/services/apiexport/2f8kq1z0c7a9x3bd/widgets/clusters/*   the consumers of one APIExport, for its provider
//
// Lists and watches over all clusters use that URL. Everything else names one cluster and uses the URL with the name of the
// cluster in place of the asterisk.
//
//	client.go     New, and the address of a request
//	of.go         Of, for a caller who wants a certain version, or metadata only
//	resources.go  which Go type and which version a resource has
//	read.go       Get and List
//	watch.go      Watch
//	write.go      Create, Update and Delete
//
// # Reads
//
// Get and List ask the server each time, and see every write that was acknowledged before the call. The package keeps no
// objects: the memory of a list is its result, the memory of a watch is one page of its list. A controller that needs an
// index keeps it in the handler of its watch.
//
// # Watches
//
// A watch loses nothing and delivers nothing twice:
//   - It lists page by page, then watches from the resourceVersion of the list.
//   - When the connection breaks or the server restarts, it goes on from the resourceVersion of the last event or bookmark.
//   - When the server no longer has the history since then, it starts over with Reset, and lists again.
//   - Events of one object arrive in the order of its writes; so do the events of all objects of the resource.
//
// Stock informers and caches cannot be used for a wildcard URL. They identify an object by namespace and name, and lose
// objects without an error when two clusters use the same names.
//
// An object says in its annotation kcp.io/cluster which cluster it belongs to. An answer without it is an error.
//
// # Writes
//
// Writes are made as the user of the rest.Config, with authorization. Over HTTP, spec and status are separate requests; see
// [Client.Update] for what happens when the second one fails. Errors are API statuses: apierrors.IsConflict and its
// siblings work on all of them.
//
// # Lifetime
//
// A [Client] is safe for concurrent use. It starts no goroutine and needs no closing; each watch ends with its context.
//
// Every package outside registry and server may import this one. It imports nothing that only a server needs.
package remote
