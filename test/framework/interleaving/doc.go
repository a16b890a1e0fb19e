// Package interleaving makes and deletes workspaces, namespaces, definitions of either scope, bindings and objects in a random order,
// with bodies that come late, and lets everything come to rest. A seed repeats the order of the requests, though not what the server
// does between them.
//
// [Config.RunSharing] does the same with a provider, its export, and consumers that bind it; in half of the walks the provider's workspace goes
// first. [Config.RunStages] does it with types of workspaces, their initializers and terminators, and the switch that makes a workspace inactive.
//
// All of them follow what is stored of bindings, exports, claims, workspaces and logical clusters, and fail at the first step that a state
// machine (apis/machine) does not have.
//
// Tests call these and then look into etcd: nothing may be left there that belongs to nothing. They themselves fail if a
// deletion does not end, or if a request gets an answer that is a fault of the server.
package interleaving
