// Package workspacetype holds the admission rules for WorkspaceTypes: reserved names, paths that must be there because
// nobody could guess them later, and that whoever adds an APIExport to the default bindings may bind it.
//
// All refusals are 403 with a message for people.
package workspacetype
