// Package etcd gives the server its store: a client for an external etcd cluster, or an etcd inside the process.
//
// The embedded etcd listens on a Unix socket in a directory that only its owner can enter, and nowhere else: whoever
// could reach a port of it would read and write every workspace. It is for one machine and for tests; several replicas
// need an external cluster.
//
// An external store may be anything that speaks etcd's API. [Probe] tells an etcd that Annex can use from others, and sees whether it
// is full or slow. It runs before a [Hold] lets any other request through, and it never writes.
package etcd
