// Package discovery answers what a cluster serves: /api and /apis with their groups and versions, plain and aggregated, and
// OpenAPI v2 and v3. The router sends all requests for these paths here, with the catalog's snapshot of the cluster.
//
//	base.go        what every cluster serves, read once from the go-restful container of the process
//	merge.go       base and snapshot together, as groups, versions and resources
//	legacy.go      /api, /apis, /apis/<group>, /apis/<group>/<version>; aggregated.go the same in one document
//	openapi3.go    /openapi/v3 and a document for each group and version; openapi2.go the one of /openapi/v2
//
// Documents depend on the snapshot's hash alone, so clusters that serve the same share them; they are built when first
// asked for and live in a cache bounded in bytes (cache.go), of which one cluster has a share. Documents of OpenAPI v3 are not kept, but
// put together from parts, one for each resource (openapi). All clusters share these by the hashes of the schemas.
//
// Nothing here answers with a redirect: a host API server in front of us would turn that into an error. A client that asks
// for an OpenAPI document by an old hash gets the document of today.
package discovery
