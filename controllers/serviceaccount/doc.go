// Package serviceaccount fills Secrets of type kubernetes.io/service-account-token with a token of their ServiceAccount, and deletes them with
// it. The token is valid only while it is in its Secret (server/authentication/tokens), so nothing depends on how soon a Secret is deleted.
package serviceaccount
