// Package etcd gives the server its store: a client for an external etcd cluster, or an etcd inside the process.
//
// The embedded etcd listens on a Unix socket in a directory that only its owner can enter, and nowhere else: whoever
// could reach a port of it would read and write every workspace. Only watches and long reads take the socket: what else this process
// asks is a call of a function (direct.go). It is for one machine and for tests; several replicas
// need an external cluster. Nobody else looks after its file: it is defragmented when much of it is free, and an etcd that was full takes
// writes again once there is room (space.go). What is free depends on compaction, which registry/storage does for every etcd.
//
// An external store may be anything that speaks etcd's API. [Probe] tells an etcd that Annex can use from others, and sees whether it
// is full or slow. It runs before a [Hold] lets any other request through, and it never writes.
package etcd
