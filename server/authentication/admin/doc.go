// Package admin generates the two administrators of a server, and the kubeconfig with their credentials.
//
//	user         group             contexts
//	kcp-admin    system:kcp:admin  root (current), base
//	shard-admin  system:masters    system:admin, shard-base
//
// Only the kubeconfig contains their tokens. The file .admin-token-store contains SHA-256 hashes of the tokens. Tokens survive
// restarts as long as both files are consistent. If the kubeconfig is lost, or its tokens do not match the hashes, both files are
// generated again, and the old tokens become invalid.
//
// Replicas on one etcd have the same tokens. There, a Secret also contains the tokens. The first replica writes it, and only
// system:masters can read it.
package admin
