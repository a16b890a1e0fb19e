// Package request reads from an admission request what several of our plugins ask for: which logical cluster it is in, and
// whether the user is one of the identities that the rules for users do not hold for.
package request
