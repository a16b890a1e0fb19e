// Package contexts changes the contexts of a kubeconfig when a user moves to another workspace. kcp's plugins use the same names.
//
//	move.go    the changes, on a kubeconfig in memory
//	file.go    writing the entries that differ to the files they belong in
//
// Only the entries called [Current] and [Previous] change, and those that a user names. Nothing else is rewritten.
package contexts
