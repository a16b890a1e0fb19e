// Package index resolves workspace paths from memory: root:org:team to the name of a logical cluster, and back.
//
// It follows two watches over all clusters. Workspaces map a name below a cluster to another cluster, so every path of a
// cluster works: its canonical path, aliases, and paths that begin with a cluster name. LogicalClusters tell which clusters exist,
// their phases, and their canonical paths.
//
// A Workspace that is mounted on an object has no cluster. It is a leaf of the tree: [Index.Mounted] finds it, and nothing is below it.
//
// The watches are behind etcd by milliseconds, and other replicas write, too. So before an [Index] reports that something does not
// exist, it waits until the watch caches have reached etcd's current revision (package fresh), and reads them. Requests for unknown
// names share these waits.
//
// The memory per workspace is two map entries, a few hundred bytes. The strings are shared with the objects in the watch cache.
package index
