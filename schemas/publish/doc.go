// Package publish says what an annotated CustomResourceDefinition publishes: the APIResourceSchema and the APIExport that follow it. It is
// logic only. controllers/publish writes the objects, server/admission/sharing decides who may publish.
package publish
