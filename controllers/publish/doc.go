// Package publish keeps an APIResourceSchema and an APIExport in step with each CustomResourceDefinition that has the annotation
// annex.dev/publish. Each change of the definition makes a new schema, whose name contains a hash of its content, and the entry of the
// resource in the export names it. schemas/publish says what they are called.
//
// It changes only what it owns: schemas that were made from the definition, and the entry of the resource in the export while that names
// such a schema. If the entry names another schema, somebody else publishes the resource, and nothing is changed. A schema that was made here
// is deleted when no export in the workspace names it and no binding uses it any more. If the annotation or the definition is removed, it stops
// to follow and deletes nothing: consumers keep what they have.
//
// Whoever writes an annotated definition needs the permission to write schemas and exports; server/admission/sharing checks it. Faults become
// Events about the definition.
package publish
