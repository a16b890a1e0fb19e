// Package bootstrap writes what must exist before the first request is served: the RBAC of system:admin and of root, the
// root LogicalCluster with its namespaces, the workspace types, the APIs that root exports with their identities and its own
// bindings to them, and the Shard object of this server.
//
// [Run] is called at each start, before readyz, on an empty or a filled etcd, possibly by several replicas at once.
// It writes only missing and different objects: labels and annotations that somebody added survive, and so do additional rules and
// subjects in RBAC, as with a kube-apiserver. The name of an APIResourceSchema contains the hash of its content. So a new version of
// the server adds a schema and changes the export, and consumers follow.
//
// The rules themselves, as Go values, are in server/bootstrap/policy.
package bootstrap
