// Package admin makes the two administrators of a server that was just started somewhere, and the kubeconfig by which people
// become one of them.
//
//	user         group             contexts
//	kcp-admin    system:kcp:admin  root (current), base
//	shard-admin  system:masters    system:admin, shard-base
//
// Their tokens stand in the kubeconfig alone; what the server keeps beside it, in .admin-token-store, are SHA-256 hashes.
// Tokens survive restarts for as long as both files agree. When the kubeconfig is lost, or its tokens are not those of the
// store, both are made anew, and the old ones are worth nothing from then on.
//
// Replicas on one etcd have the same tokens: there they stand in a Secret, too, which the first replica writes and only
// system:masters can read.
package admin
