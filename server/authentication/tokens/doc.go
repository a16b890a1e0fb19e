// Package tokens issues, checks and publishes the tokens of ServiceAccounts.
//
//	keys.go           the signing keys: one signs, and all of them verify
//	store.go          where they are: one Secret of the server's own storage, which all replicas share
//	claims.go         what is in a token
//	issue.go          tokens for TokenRequests, and those that Secrets of type kubernetes.io/service-account-token hold
//	verify.go         signature, time and form: whether this server has issued a token
//	authenticator.go  whose request it is: the workspace, the account and the Secret of the token exist
//	recent.go         how new must be what these are read from
//	publish.go        OpenID Connect discovery: the issuer and the public keys, for others who check tokens
//
// The issuer of a workspace is <external URL>/clusters/<name of its logical cluster>, which stays the same when the workspace moves in the
// tree. It is also the audience of tokens for the workspace itself. One key signs for all workspaces, so whoever checks a token must
// compare its issuer, as every OpenID Connect client does.
//
// In its own workspace a token is its ServiceAccount. Elsewhere it is system:kcp:serviceaccount:<cluster>:<namespace>:<name>, in the groups
// system:authenticated and system:cluster:<cluster>, so that it cannot be mistaken for the account of the same name there.
//
// Nothing that was checked is remembered. What a token depends on is read from watch caches that are at most a second behind etcd, and
// before a token is refused, from caches that have caught up with it. If etcd cannot be read, no token is accepted.
package tokens
