// Package secrets keeps what all replicas share and must keep secret: the CA of serving certificates, the tokens of the
// administrators, and the keys that sign tokens of ServiceAccounts. Each is one Secret in namespace kube-system of the cluster system:admin, which only system:masters can enter.
//
// Replicas start at the same time and none of them is special, so a [Secret] is settled by the write that comes first: the
// others read what it wrote and go on from there.
package secrets
