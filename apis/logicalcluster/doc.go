// Package logicalcluster holds the two ways to name a logical cluster, the storage partition behind a workspace, and the
// context values that carry one through a request.
//
// A [Name] never changes and is part of every storage key. A [Path] such as root:org:team is how people address a
// workspace; the front door resolves it to a Name once, and nothing behind the door sees a Path again.
//
// Past the front door a context holds exactly one target: a resolved name ([WithCluster]), all clusters ([WithWildcard],
// reads only), or a name that resolved to nothing ([WithUnknown]). Storage refuses a context that holds none.
//
// Every other package may import this one; it imports nothing of ours.
package logicalcluster
