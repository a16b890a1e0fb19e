// Package authentication is the REST storage of authentication.k8s.io: SelfSubjectReview, which tells users who they are, and
// TokenReview, which asks the server's own authenticator about a token. Neither is stored.
package authentication
