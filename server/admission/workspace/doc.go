// Package workspace contains the admission rules for Workspaces.
//
// The plugin of [NewOwnership] records the creator of a workspace, copies the required groups of the parent workspace, and
// protects the fields that the system sets. It copies the groups to workspaces that the server itself creates for users, too, so that no
// other package has to. The plugin of [NewTypes] resolves the WorkspaceType: it sets the default and the path, adds
// the labels of the type, and checks that the creator may use the type and that the type is allowed in the parent workspace.
//
// The plugin of [NewMounts] refuses mounts where they are not enabled, and a type of a mounted workspace, with 422.
//
// All other refusals are 403 with a message for users.
package workspace
