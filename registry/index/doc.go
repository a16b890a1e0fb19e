// Package index resolves workspace paths from memory: root:org:team to the name of a logical cluster, and back.
//
// It follows two watches over all clusters. Workspaces say which name below a cluster leads to which other cluster, so
// every path by which a cluster can be reached works, its canonical one, aliases and those that begin with a bare name
// alike. LogicalClusters say which clusters exist, in which phase, and what their canonical path is.
//
// The watches trail behind etcd by milliseconds, and other replicas write too. So before an [Index] says that something is
// not there, it waits until the watch caches have reached etcd's current revision (package fresh) and looks there. A flood of
// made-up names shares one such wait after the other.
//
// Memory per workspace is two map entries, a few hundred bytes; the strings are those of the objects in the watch cache.
package index
