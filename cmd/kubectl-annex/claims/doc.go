// Package claims compares what an APIExport claims with what an APIBinding answers, and writes answers, for the commands that do so.
//
//	warn.go      what a user must know about the claims of a binding
//	answer.go    the answers of flags and commands
//	name.go      how users write a resource: configmaps.core
package claims
