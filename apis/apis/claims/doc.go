// Package claims holds the rules of permission claims: which resources an APIExport can claim, which of its claims a consumer has
// accepted, and what an accepted claim lets the provider do.
//
//	claimable.go  the resources that every workspace has and that can be claimed
//	claims.go     what an export claims, met with what a binding answers
//	verbs.go      the verbs on which both agree
//
// A claim is in effect only while the export makes it and the binding accepts it: [Meet] says which are. Nothing of that is stored on the
// objects. The controller of APIBindings writes it into their status; the virtual workspace of the export decides by it.
//
// The package reads nothing and imports only API types. Anyone may import it.
package claims
