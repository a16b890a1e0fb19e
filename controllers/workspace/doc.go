// Package workspace is the controller that gives each Workspace its logical cluster, keeps the two in step, and lets the
// Workspace go when the logical cluster is gone.
//
// A new workspace costs as few writes as possible, since etcd's revisions are what limits how many can be made in a second:
// every object is created in its final state, and the Workspace itself is updated once. For a Workspace of type universal:
//
//	create  logicalclusters      in phase Ready, with owner, type, path and finalizer
//	create  apibindings          tenancy.kcp.io and topology.kcp.io, bound
//	create  namespaces           default and kube-system
//	create  clusterrolebindings  workspace-admin, for the creator
//	update  workspaces           spec.cluster, phase Ready, conditions
//
// The name of the logical cluster follows from the UID of the Workspace. So a server that stops anywhere finds what it has
// made already: each step is an attempt to create, and what exists is left alone. Only who holds spec.cluster is found by
// path, hence nobody gets in before the last step.
//
// If a default binding cannot be bound at once, the logical cluster is made in phase Initializing and becomes Ready when the
// last binding is. Deletion is the business of controllers/logicalcluster; here the LogicalCluster is deleted with its
// Workspace, and its phase and conditions are repeated on the Workspace until it is gone.
package workspace
