// Package elsewhere is what answers for bound resources with virtual storage that a third party serves: the APIExport refers to an object in the
// workspace of the provider, a slice, whose status lists endpoints. The router (step 4 of docs/request.md) asks [Endpoint.Bound] for the
// target of an authorized request in the workspace of a consumer, and server/virtual/apiexport for one of the provider. What a request
// passes, in this order:
//
//	endpoint.go    the APIResourceSchema that the consumer has bound has this version, scope and subresource; otherwise it is 404
//	source.go      the APIExport refers to a slice that is there and has an endpoint, and the operator allows it; otherwise it is 503
//	send.go        nobody is impersonated; the server behind the endpoint learns of the APIExport and the consumer, in extra fields that no user can have
//	columns.go     tables are made here, of the columns of the schema
//	server/virtual/forward   what goes out, as whom, and what comes back
//
// A request that waits for the answer counts against the provider, not the consumer (fairness.OnAccount). A watch ends when the APIExport leads
// somewhere else, and when the consumer has bound something else; while one is open, the slices of its kind are followed (follow.go).
//
// ClusterCachedResources are another matter: server/virtual/replication serves them.
package elsewhere
