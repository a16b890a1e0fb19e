// Package feed watches etcd once for all stores. A [Feed] is a clientv3.Watcher: who watches keys below its prefix gets the events of
// one watch that all share, in the order of their revisions.
//
// A stock store reads a list, and then watches from its revision on. Stores do so at different times, so the shared watch, a lane,
// remembers what it has delivered lately. Who begins before that gets a lane of its own. What a watcher has not taken yet waits for it,
// as in the etcd client: a slow watcher delays no other.
//
// Only registry/storage and the packages below it import it.
package feed
