// Package core is the REST storage of the core group: namespaces, configmaps, secrets, serviceaccounts, events, limitranges
// and resourcequotas, one file each. Behavior follows Kubernetes; where it does not, the file says so.
//
// LimitRanges and ResourceQuotas are stored, and the response has a warning that they are not enforced yet. [ServeTokens] adds
// serviceaccounts/token, which needs somebody to sign.
package core
