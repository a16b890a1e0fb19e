// Package workspacetype contains the admission rules for WorkspaceTypes: the type root exists only in root, and a user who adds an
// APIExport to the default bindings must have permission to bind it. The type records the logical cluster
// for which the permission was checked. apis/tenancy/validation checks the object alone.
//
// All refusals are 403 with a message for users.
package workspacetype
