// Package apiexport is the virtual workspace of the provider of an API: the objects of all consumers of one APIExport behind
// one endpoint, /services/apiexport/<cluster>/<export>/clusters/{*|<consumer>}/..., with one resourceVersion.
//
// It is a virtual.Workspace: it decides about its requests as an authorizer (step 2 of docs/request.md), and says what they are
// served from in the place of the router (step 4). What keeps a provider from seeing more than is shared with it, in this order:
//
//	authorize.go   the caller needs the verb of the request on apiexports/content of this export, in the export's cluster
//	consumers.go   a request for one consumer needs a binding there that has bound the resource from this export
//	grant.go       a request for one consumer and a claimed resource needs a binding there that accepts the claim with the verb
//	limited.go     a claimed resource of another export needs the maximal permission policy of that export, if it has one
//	claim.go       of a claimed resource it reaches the objects that the selector selects: a filter by head, for reads and writes
//	claimed.go     the same over all consumers, by what answers.go keeps of all bindings
//	serve.go       the identity hash of the export becomes the bucket in which storage looks: objects that were written
//	               through another export cannot be reached, whatever they are called
//
// Served are the resources of the export, as the schemas that it names now say, without /scale; and apibindings, read-only
// and only those to this export (bindings.go). Lists and watches over all consumers go on when one more binds. A watch ends
// when the export no longer offers the resource as it did, or when its one consumer is switched off; clients then look again.
//
// The resources of root's own exports, such as tenancy.kcp.io, are served from typed storage (own.go). For system:masters, identified.go finds what
// serves an API by its identity, over all clusters and without an endpoint. Resources with virtual storage are served for one consumer at a time, as the
// consumer sees them (virtual.go).
//
// Nothing of a claim is stored on objects. What is accepted is read from bindings, or kept in memory by their events; open watches over all
// consumers get what comes into sight as ADDED and what leaves it as DELETED (filter.Turning).
package apiexport
