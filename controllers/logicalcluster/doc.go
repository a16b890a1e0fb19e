// Package logicalcluster is the controller that deletes the content of a logical cluster after its LogicalCluster is deleted. It also
// makes logical clusters inactive and active by annotation.
//
// Deletion has these steps, in this order. Each step is repeated until nothing is left for it:
//
//  1. The owner Workspace is deleted too, if somebody deleted the LogicalCluster itself. While the LogicalCluster has terminators, that is
//     all, and the phase is Terminating. Each terminator removes itself. Then the phase is Deleting.
//  2. All content except that of the next steps. Finalizers are respected. Child workspaces are content: their logical clusters
//     are deleted first. The deletion of namespaces begins before that, so that nobody puts anything back.
//  3. Namespaces, and WorkspaceTypes: until now, the terminators of child workspaces needed them.
//  4. APIBindings. Their objects are gone by then.
//  5. RBAC, once the LogicalCluster has no finalizers of others. It comes late, so that administrators can look into the cluster until
//     then, and terminators of child workspaces may do their work.
//  6. The keys that remain: normally only the key of the LogicalCluster itself.
//
// controllers/workspace then removes the finalizer of the Workspace. The condition WorkspaceContentDeleted shows what remains in a
// cluster.
package logicalcluster
