// Package leader makes sure that only one of several servers on one etcd runs the controllers. That server holds the Lease
// annex-controllers in namespace kube-system of system:admin, in the shared etcd.
//
// The election is client-go's. This package adds the order at the end of a term. Work stops before the lease is released, so that a
// successor can begin at once and never runs at the same time as its predecessor. Work also stops when the lease could not be renewed
// for the renew deadline, even if the attempts to renew or release it hang.
package leader
