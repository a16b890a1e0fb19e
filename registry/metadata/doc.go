// Package metadata serves the metadata of a custom resource in all clusters: lists and watches of PartialObjectMetadata, whatever the schemas,
// identities and stored versions of the objects. It takes the place of the stock CRD handler in step 6 of docs/request.md, which needs one
// schema for all objects of a request.
//
// Nothing is converted: objects carry the version in which they are stored in [OriginalVersionAnnotationKey]. A [Server] decides only whether
// some cluster serves the version that a request is for. Who may read all clusters is decided before (server/authorization), and that no
// cluster is named by the router.
package metadata
