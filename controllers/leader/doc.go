// Package leader sees to it that one of several servers on one etcd runs the controllers. Who does holds a Lease,
// annex-controllers in namespace kube-system of system:admin, in the etcd that all of them share.
//
// The election is client-go's. What is added here is the order in which things end: work stops before the lease is given up,
// so that a successor begins at once and never beside its predecessor; and work stops when the lease could not be renewed for
// the renew deadline, however long the attempts to renew or to give it up hang.
package leader
