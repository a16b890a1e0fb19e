// Package core is the REST storage of the core group: namespaces, configmaps, secrets, serviceaccounts, events, limitranges
// and resourcequotas, one file each. Behavior follows Kubernetes; where it does not, the file says so.
//
// LimitRanges and ResourceQuotas are stored, and the response has a warning that they are not enforced yet. Secrets for the token of
// a ServiceAccount are refused, because the server would not add a token.
package core
