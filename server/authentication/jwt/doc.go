// Package jwt accepts the tokens of OpenID Connect issuers that the operator trusts, as kube-apiserver does.
//
//	config.go   which issuers: an AuthenticationConfiguration in a file, or one issuer by the --oidc flags
//	validate.go what an AuthenticationConfiguration may contain here
//	issuers.go  the issuers that are accepted now
//	reload.go   how they change when a file changes
//
// The stock library checks tokens: signature, time, audience, claims and rules in CEL. It fetches the keys of an issuer by itself, so the
// server starts while an issuer cannot be reached, and refuses its tokens until it can.
//
// A file that changes is read again. The new configuration replaces the old one as soon as all issuers in it that are new or different have
// been reached. Issuers that stay the same are not asked again. If a new configuration cannot be used, the old one stays, and the log and
// the stock metrics apiserver_authentication_config_controller_* say so.
//
// Requests to issuers do not pass server/outbound, which is for URLs that tenants choose: these URLs are the operator's.
//
// Only package authentication, which decides what the users of these tokens may claim, and cmd import this package.
package jwt
