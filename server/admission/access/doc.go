// Package access is the admission plugin of WorkspaceAccesses. A WorkspaceAccess makes the server give a role in a workspace to whoever can read
// a Secret, so its author needs the permissions to do the same by hand, in that workspace:
//
//   - to enter the workspace
//   - to create ServiceAccounts, and tokens for them, in the namespace kube-system, where the server creates the ServiceAccount
//   - to create ClusterRoleBindings, and to bind the ClusterRole: the author holds everything that it allows, or may bind it
//
// Only RBAC of workspaces counts, as for everything that an object refers to: whatever the host allows its users lets nobody into a workspace.
// The permissions are checked when the object is created and whenever its spec changes. What happens to the author later changes
// nothing, as with a ClusterRoleBinding.
//
// The plugin writes down the logical cluster for which it has checked them. The controller gives access to no other, even if the path leads
// to another workspace later. Nobody else changes that annotation.
//
// A provider does not create WorkspaceAccesses in a consumer's workspace by a permission claim: whoever accepts a claim on this resource
// does not expect to give all rights away.
package access
