// Package authentication finds out who makes a request (within step 2 of docs/request.md, the stock chain).
//
// [New] joins client certificates, static tokens, the generated administrators and, if wanted, anonymous access into one
// authenticator. What it adds to the stock parts:
//
//   - It notes the logical cluster of the request in the audit log, also when nobody is let in, since the audit context
//     begins inside the stock chain.
//   - Groups and extras that only the server itself gives are dropped from identities that come from outside, and users
//     with reserved names are refused: see [ReservedGroup], [ReservedExtra] and [ReservedUser].
//   - Users of a host cluster ([Host]) are let in by the headers of its front proxy, which [FrontProxy] follows, and by
//     bearer tokens that the host reviews. They are translated: administrators of the host are none here unless
//     Host.Masters says so, and its ServiceAccounts are not those of a workspace. [HostIdentity] tells who they are there.
//
// [WithRequestor] and [WithImpersonationScope] are two filters around the stock chain that confine whoever is impersonated
// to the cluster in which the impersonation was allowed.
package authentication
