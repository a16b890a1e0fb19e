// Package issuers accepts tokens of the OpenID Connect issuers that WorkspaceTypes name, within step 2 of docs/request.md. Such a token is
// accepted in the workspaces of the type, and makes a user who is valid in one workspace only: the one of the request.
//
// An issuer is named in a WorkspaceAuthenticationConfiguration, by whoever may write it. So it is not trusted beyond the workspaces of the
// type:
//
//   - its users are none of the system's, and are confined to the workspace: package authentication sees to that;
//   - the server asks it for keys through package outbound, and reads a small answer (fetch.go);
//   - it is asked when a token of it comes, not before, by one request at a time, for a bounded time and not too often (keys.go), so one
//     that hangs delays only requests with its tokens;
//   - what is kept of issuers is bounded, also for each workspace that names them (issuers.go). Nothing runs for any of them.
//
// The stock authenticator checks tokens and makes users; this package gives it the keys. Tokens with distributed claims are refused, because
// the stock authenticator would follow them in the background.
//
// Only package server makes [Issuers], and package authentication asks it, after everything that the server knows by itself.
package issuers
