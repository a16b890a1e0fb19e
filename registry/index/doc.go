// Package index resolves workspace paths from memory: root:org:team to the name of a logical cluster, and back.
//
// It follows two watches over all clusters. Workspaces say which name below a cluster leads to which other cluster, so
// every path by which a cluster can be reached works, its canonical one, aliases and those that begin with a bare name
// alike. LogicalClusters say which clusters exist, in which phase, and what their canonical path is.
//
// The watches trail behind etcd by milliseconds, and other replicas write too. So before an [Index] says that something is
// not there, it looks a second time with a reader that sees every acknowledged write; one such look is in flight at a time,
// so that a flood of made-up names costs etcd one read after the other and hits nothing but other misses.
//
// Memory per workspace is two map entries, a few hundred bytes; the strings are those of the objects in the watch cache.
package index
