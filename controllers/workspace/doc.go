// Package workspace is the controller that creates the logical cluster of each Workspace, keeps the two consistent, and removes the
// finalizer of the Workspace when the logical cluster is gone.
//
// A new workspace needs as few writes as possible, because etcd's revisions limit how many workspaces can be created per second. For a
// Workspace of type universal there are two:
//
//	create  logicalclusters  in phase Ready, with owner, type, path, finalizer, and the template that the rest is rendered from
//	update  workspaces       spec.cluster, phase Ready, conditions
//
// What is rendered are the namespaces and their contents, the bound APIBindings, and the ClusterRoleBinding workspace-admin of the creator
// (client.Templates). Without a template, each is created in its final state.
//
// The name of the logical cluster is computed from the UID of the Workspace. So a server that stops at any point finds the objects that
// it has already created: each step tries to create an object, and keeps an existing one. Only a Workspace with spec.cluster is found
// by path, so nobody can enter before the last step.
//
// If a default binding cannot be bound at once, the logical cluster is created in phase Initializing, with the initializer
// system:apibindings, which this controller removes when the last binding is bound. If its types have initializers of their own, it is
// created in that phase, too, and contains everything else from the beginning. Those remove themselves (apis/core/lifecycle), and this
// controller only mirrors that. controllers/logicalcluster deletes the content. This controller deletes the LogicalCluster together with its
// Workspace, and copies its phase and conditions to the Workspace until it is gone.
//
// The home workspace of a user is a logical cluster without a Workspace. [Homes] creates it in the same final state, in one write, when
// the user asks for it. A second controller completes a home workspace that has to wait.
package workspace
