// Package router is step 4 of docs/request.md. Behind authentication, authorization and fairness it decides what answers a request:
//
//	discovery and OpenAPI    server/discovery, for the catalog's snapshot of the cluster
//	OpenID Connect           server/authentication/tokens: who issues the tokens of ServiceAccounts of the cluster
//	/usage                   registry/storage: how much the cluster stores
//	objects                  step 5, server/serve, which gets a target: the resource as the catalog has it for the cluster, or
//	                         a resource that the process serves in every cluster
//	virtual endpoints        server/virtual, which takes the router's place
//
// Paths that name no resource are on an allow list: the process's metrics, profiles, log flags and status pages cannot be
// reached inside a workspace by anybody.
package router
