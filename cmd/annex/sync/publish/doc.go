// Package publish offers a CustomResourceDefinition of the service cluster in the provider's workspace: it copies the definition, with the
// annotation annex.dev/publish, and the server makes the APIResourceSchema and the APIExport follow it (schemas/publish). Here the export gets the
// permission claims that the agent needs.
//
// A definition or a claim that somebody else has made is not changed. Nothing is deleted: consumers keep what they have bound.
package publish
