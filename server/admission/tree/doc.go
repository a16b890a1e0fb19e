// Package tree reads what admission needs to know of the workspace tree: LogicalClusters, WorkspaceTypes and APIExports,
// by path.
//
// A [Tree] answers from the watch caches. What is not there it looks up a second time with a reader that sees every
// acknowledged write, so that an object may be used at once after it was created, through whichever replica.
package tree
