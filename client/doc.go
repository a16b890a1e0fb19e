// Package reader says how code that works on many logical clusters reads and writes objects, whatever stands behind it:
// the watch caches of the server process, or a kcp-compatible server over HTTP.
//
// Nothing here is keyed by namespace and name alone: a [Key] always names the cluster too. A watch on a resource covers
// all clusters with one resourceVersion. Controllers depend on these interfaces only.
package client
