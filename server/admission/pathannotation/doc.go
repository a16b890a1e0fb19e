// Package pathannotation puts the canonical path of the logical cluster, kcp.io/path, on objects that other
// workspaces find by path: WorkspaceTypes, APIExports, APIBindings, ClusterCachedResources, and every object that already has the annotation. It replaces a
// value that a user sets.
package pathannotation
