// Package router is the last step before REST storage. Behind authentication and authorization it asks the catalog what
// the cluster of a request serves and hands the request to who serves it:
//
//	discovery and OpenAPI            server/discovery, for the catalog's snapshot of the cluster
//	custom and bound resources       the stock CRD handler of the schema's hash (registry/schema), with the bucket in ctx
//	resources of the process         the stock go-restful container; tenancy and topology only where they are bound
//	virtual endpoints                server/virtual
//
// Paths that name no resource are on an allow list: the process's metrics, profiles, log flags and status pages cannot be
// reached inside a workspace by anybody.
package router
