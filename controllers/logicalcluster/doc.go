// Package logicalcluster is the controller that takes logical clusters apart when their LogicalCluster is deleted, and that
// switches them off and on by annotation.
//
// Deletion goes in this order, and each step is repeated until nothing is left for it:
//
//  1. The owner Workspace is deleted too, if somebody deleted the LogicalCluster itself; phase Deleting.
//  2. All content but what follows, finalizers honored. Child workspaces are content: their own logical clusters go first.
//  3. APIBindings, which are gone when the objects of their resources are.
//  4. RBAC, so that administrators could look into the cluster until here.
//  5. The keys that are left, which normally are none but that of the LogicalCluster itself.
//
// controllers/workspace then lets the Workspace go. What keeps a cluster from being empty is shown in the condition
// WorkspaceContentDeleted.
package logicalcluster
