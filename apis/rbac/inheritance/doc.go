// Package inheritance says which RBAC objects of a workspace also count in the workspaces below it, and which workspaces take nothing from
// above. It is pure: the server decides by it, and clients explain with it.
//
// One annotation, [AnnotationKey], says it on four kinds:
//
//   - On a ClusterRoleBinding, "true" means that the binding also counts in every workspace below.
//   - On a ClusterRole, "true" means that such bindings may refer to it. Without it, whoever may change the role could give rights below,
//     where they may have none. ClusterRoles of the system need no annotation, because no workspace changes them.
//   - On a LogicalCluster, "false" means that nothing from above counts in the workspace and below it.
//   - On a WorkspaceType, "false" means that the LogicalClusters of new workspaces of the type begin with "false".
package inheritance
