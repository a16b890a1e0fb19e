// Package fresh lets an index in memory be sure of itself before it says no.
//
// Watches trail behind etcd by milliseconds, and other servers write too. So before an index says that something does not exist,
// or is not allowed, it waits until the watch caches that it reads have reached etcd's current revision. All who wait share
// one look at etcd, and one look is in flight at a time: a flood of made-up names costs etcd one small read after the other.
package fresh
