// Package clustername makes names of logical clusters. It is arithmetic only: whether a name is free is for the caller to find out.
//
// A name is a SHA-224 hash in base 36, cut to 16 characters, which leaves 82 bits. For a workspace it is made from the UID
// of the Workspace and not drawn at random, so that a server that stops half way finds the same name again and leaves nothing
// behind. Anyone may import this package.
package clustername
