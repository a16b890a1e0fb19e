// Package workspacetype holds the admission rules for WorkspaceTypes: the type called root exists only in root, and whoever
// adds an APIExport to the default bindings may bind it. What the object alone tells is in apis/tenancy/validation.
//
// All refusals are 403 with a message for people.
package workspacetype
