// Package compaction removes old revisions from one etcd. A [Compactor] belongs to one etcd, and runs in every replica.
//
// Replicas agree as those of kube-apiserver do, by [k8s.io/apiserver/pkg/storage/etcd3.Compact]: a compaction is for whoever increments
// the version of the key compact_rev_key from the one that it has seen, and goes up to the revision of its previous turn. So others may
// compact the same etcd in the same way.
//
// The stock loop around that takes turns by time alone: in the five minutes between two of them, one tenant can fill etcd with old
// revisions, for everybody. Here, a turn also comes when the database has grown by a part of the room that it has left. What was written
// since the previous turn is kept, so old revisions take at most about half of the room. Each replica looks at the size of the database
// after every few bytes that its watch of etcd has seen, so that the bound does not depend on how fast somebody writes; and every few
// seconds, for what is written past it.
//
// The stock loop with a clock that ticks by size would be shorter, but it cannot compact an etcd that is full, because that does not take
// the key, and an etcd that is full stays so until it is compacted.
//
// What depends on old revisions gets 410, or reads anew, if they are gone:
//
//   - pages: a continue token names the revision of the first page; so does a list that is read in parts, as selectors make it. The
//     answer to a token that is too old has a new one in it
//   - watches of etcd (package feed) that broke, or are behind: they need each revision since, and the previous value of each key. If a
//     watch cache cannot resume, it lists everything again, and open watches of clients end
//   - watches and reads of clients at a revision from before the watch cache began
//   - what is rendered (package rendered): the template and the LogicalCluster of a cluster that is being deleted, at a revision, if
//     they are not in memory
//
// All of them are quick unless something is wrong, so half a minute is enough; only a flood of large writes shortens it.
//
// Only registry/storage and the packages below it import it.
package compaction
