// Package inprocess is the client that controllers and the bootstrap use inside the server process: it implements
// client.Client straight on the REST storage. A [Reader] needs the stores alone, so indexes and admission can
// read before there is a [Client], which writes through that admission.
//
// A write takes the way of any request from admission on (admission, strategy, storage, managed fields), without HTTP, TLS
// or authentication: it costs etcd's time and a fifth of a millisecond. Reads come from the watch caches, so there is no
// second copy of anything but CustomResourceDefinitions, which are stored as another Go type: all readers share one (served.go), and a write
// that leaves its spec does not look into it (kept.go). Spec, metadata and status are written together, through the system stores of group.Group.
package inprocess
