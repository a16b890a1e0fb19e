// Package configfile changes single entries of a kubeconfig. Other entries, their order and comments do not change, byte for byte
// where YAML allows, and the file is locked in the same way as kubectl locks it.
//
//	document.go    the entries in a file
//	file.go        locking and writing a file
package configfile
