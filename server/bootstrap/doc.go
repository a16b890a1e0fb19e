// Package bootstrap writes what must exist before the first request is served: the RBAC of system:admin and of root, the
// root LogicalCluster with its namespaces, the workspace types, the APIs that root exports with their identities and its own
// bindings to them, and the Shard object of this server.
//
// [Run] is called at each start, before readyz, on an empty etcd as on a full one, possibly by several replicas at once. It
// writes only what is missing or different: labels and annotations that somebody added survive, and so do additional rules
// and subjects in RBAC, as with a kube-apiserver. An APIResourceSchema is named by the hash of what it says, so that a new
// version of the server adds one and changes the export, and consumers follow.
//
// The rules themselves, as Go values, are in server/bootstrap/policy.
package bootstrap
