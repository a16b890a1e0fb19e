// Package logicalcluster contains the two kinds of names of a logical cluster, the storage partition behind a workspace, and the
// context values that pass one of them through a request.
//
// A [Name] never changes and is part of every storage key. A [Path] such as root:org:team is the address of a workspace
// for users. The front door resolves it to a Name once, and later code never sees a Path.
//
// After the front door, a context has exactly one target: a resolved name ([WithCluster]), all clusters ([WithWildcard],
// reads only), or a name that resolved to nothing ([WithUnknown]). Storage refuses a context without a target.
//
// Every other package may import this one; it imports nothing of ours.
package logicalcluster
