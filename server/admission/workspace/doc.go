// Package workspace holds the admission rules for Workspaces.
//
// The plugin of [NewOwnership] records who creates a workspace, hands down the required groups of the workspace above, and
// keeps the fields that the system sets. The plugin of [NewTypes] finds the WorkspaceType: it fills in the default and the
// path, adds the labels of the type, and checks that the creator may use it and that it may stand where it is created.
//
// All refusals are 403 with a message for people.
package workspace
