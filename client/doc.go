// Package client says how code that works on many logical clusters reads and writes objects. There are two halves:
//
//   - client/remote works over HTTP, against a wildcard URL of Annex or of another server that is compatible with kcp. It is
//     the library for operators.
//   - server/inprocess works inside the server process, straight on its watch caches and its storage.
//
// A controller depends on these interfaces only, so the same controller runs on either half, and in tests on the fake of
// client/clienttest.
//
// Nothing here is keyed by namespace and name alone: a [Key] always names the cluster, too. A watch of a resource covers all
// clusters with one resourceVersion. A write names exactly one cluster.
//
// Every package may import this one. It imports nothing that only a server needs.
package client
