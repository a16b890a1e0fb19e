// Package core is the REST storage of the core group: namespaces, configmaps, secrets, serviceaccounts, events, limitranges
// and resourcequotas, one file each. Behavior follows Kubernetes; where it does not, the file says so.
//
// LimitRanges and ResourceQuotas are stored and answered with a warning that nothing enforces them yet. Secrets that ask for
// the token of a ServiceAccount are refused, since nobody would fill them in.
package core
