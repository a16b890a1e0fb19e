// Package defaultbinding is the controller that maintains default APIBindings for as long as a workspace exists, for WorkspaceTypes whose
// defaultAPIBindingLifecycle is Maintain: it creates bindings that are missing, because somebody deleted them or the type has more than it had,
// and accepts all claims of their exports, with the default selectors.
//
//	types.go      which default bindings a workspace maintains
//	keys.go       which workspaces a change affects: a binding, a new workspace, or a type
//	reconcile.go  one workspace
//
// Only workspaces that need something are reconciled. Whether one does is a look at its bindings in the watch caches, and nothing is
// kept of any workspace. So a binding that is rendered (see package client, Templates) stays so until it has to be written. A change of a type is
// a look at all workspaces; those looks follow one another with pauses, however often types change, and few of their workspaces are queued
// at a time.
//
// The controller of APIBindings binds what this one creates. New workspaces get their bindings from controllers/workspace.
package defaultbinding
