// Package app has the commands of `kubectl annex`, a file each, and those of kcp's plugins, which are the same under other names.
// What they do is in the other packages of this folder: this package reads flags, and writes what users read.
//
//	command.go     the names under which the program can be called
//	options.go     what all commands share
//	output.go      -o json|yaml|name|wide
//
// Results are written to stdout; notes, warnings and progress to stderr.
package app
