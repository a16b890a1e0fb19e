// Package pathannotation puts the canonical path of the logical cluster, kcp.io/path, on objects that are found by path from
// elsewhere: WorkspaceTypes, APIExports, APIBindings, and whatever carries the annotation already. What a user writes there
// is replaced.
package pathannotation
