// Package authentication determines the user of a request, within step 2 of docs/request.md (the stock chain).
//
// [New] joins all logins into one authenticator. It asks in this order: client certificates, static tokens (package tokenfile) and the
// generated administrators; ServiceAccounts of workspaces (package tokens); OpenID Connect issuers (package jwt) and a webhook, which are
// asked for a bounded time; the host; and at last whether a request without credentials is accepted. What it adds to the stock parts:
//
//   - It records the logical cluster of the request in the audit log, even if authentication fails. It does so here because the
//     audit context begins inside the stock chain.
//   - It drops groups and extras that only the server may assign from outside identities, and refuses users with reserved
//     names: see [ReservedGroup], [ReservedExtra] and [ReservedUser]. Client certificates make no administrators unless
//     Config.ClientCAMasters is set, and issuers and webhooks make no user or group of the system at all (reserved.go).
//   - It accepts ServiceAccounts of workspaces by their tokens (package tokens), and says for which audiences a credential is valid.
//   - It accepts users of a host cluster ([Host]) by the headers of its front proxy, which [FrontProxy] follows, and by bearer
//     tokens that the host reviews. It translates these users: administrators of the host are not administrators here unless
//     Host.Masters is set, and its ServiceAccounts are not those of a workspace. [HostIdentity] returns their identity on the host.
//
// [WithRequestor] and [WithImpersonationScope] are two filters around the stock chain. They confine an impersonated user to
// the cluster in which the impersonation was allowed.
package authentication
