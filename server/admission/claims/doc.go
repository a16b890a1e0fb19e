// Package claims contains the admission rules for writes by which a provider uses a permission claim, and for what claims reserve. It runs
// within step 6 of docs/request.md.
//
// server/virtual/apiexport puts a [Grant] into the context of a write at the provider's endpoint. [NewLabels] comes before webhooks and adds the
// labels that the consumer's selector names, so that webhooks see the object as it is stored. [New] comes after them:
//
//	any object     it must match the selector, in dry runs too; registry/storage/filter refuses it again when it is stored
//	apibindings    a provider does not accept claims in the place of the consumer
//	any object, by anybody    labels that begin with claimed.internal.apis.kcp.io/ are reserved
//
// What the provider may do at all is not decided here, but by the authorizer of the endpoint.
package claims
