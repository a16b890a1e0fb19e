// Package request reads from an admission request what several plugins need: its logical cluster, and whether the rules for users do
// not apply to its user.
package request
