// Package auditing adds to the stock audit log what a server of workspaces needs, within step 2 of docs/request.md (the stock chain).
//
// The stock chain sees URLs as the front door has trimmed them. [Note] records the URI that the client has sent, and the [Backend] writes it
// into each event, where the field requestURI of stock servers has it. [Annotated] is what plugins get that let tenants choose
// annotations: tenants may not write those by which the server says where a request was and who decided.
//
// Package authentication records the cluster, package authorization the decisions.
package auditing
