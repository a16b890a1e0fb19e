// Package tokenfile accepts the static tokens in a file, and reads the file again when it changes. The stock library parses a file once.
//
// If a new content cannot be used, the tokens of the previous one remain valid, and the log says why. A token that is removed from the file
// is refused within about a second.
package tokenfile
