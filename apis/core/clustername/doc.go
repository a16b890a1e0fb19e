// Package clustername makes names of logical clusters. It is arithmetic only. The caller checks whether a name
// is free.
//
// A name is a SHA-224 hash in base 36, cut to 16 characters, which leaves 82 bits. For a workspace it is computed from
// the UID of the Workspace and is not random, so that a server that stops in the middle computes the same name again and leaves
// nothing behind. Anyone may import this package.
package clustername
