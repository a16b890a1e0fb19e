// Package maximal knows which APIExports have a maximal permission policy: whose consumers may do with the exported resources only what
// the RBAC of the provider's workspace allows. The authorizer (step 2 of docs/request.md) asks it for each request for a bound resource.
//
// The main type is [Policies]. It keeps the names of the exports of each provider in use in a view (package view), so the answer for an
// export without a policy costs one look into a map. Before it says that an export does not exist, it makes sure that it has seen every
// write that was acknowledged before.
//
// Whether the policy allows something is decided elsewhere (server/authorization).
//
// Packages of registry and server may import it.
package maximal
