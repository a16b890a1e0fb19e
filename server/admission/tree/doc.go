// Package tree reads the parts of the workspace tree that admission needs: LogicalClusters, WorkspaceTypes and APIExports, by path.
//
// A [Tree] reads the watch caches. If an object is not there, it reads again with a reader that sees every acknowledged write. So an
// object can be used at once after its creation, through every replica.
package tree
