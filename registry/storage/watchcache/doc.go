// Package watchcache runs stock cachers above stock etcd stores, such that one of them serves all clusters. A [Set] holds those
// over one etcd; a [Cache] is one.
//
//   - They start with a LIST: through WatchList they would lose all but one of the objects that share a namespace and name
//     (cache.go, listOnly).
//   - A watch is filed under a value of its cluster, so that the events of others do not reach it (select.go).
//   - Lists are consistent without waiting for the cacher's next question to etcd (fresh.go).
//   - All of them share one watch of etcd (package feed). It also tells how much is written, on which depends when etcd is compacted
//     (package compaction).
//   - Whether something was written in a cluster between two revisions is known without a list (writes.go).
//
// One revision never holds two objects, as a watch that breaks inside a revision would lose the rest: a lease holds one object,
// since etcd deletes all that a lease holds in one revision.
//
// Only registry/storage and the packages below it import it.
package watchcache
