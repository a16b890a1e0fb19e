// Package storage is step 7 of docs/request.md: it turns what a REST storage asks for into keys of etcd. It is the only place
// that makes or reads a key.
//
//	/annex/<group|core>/<resource>/<cluster>/[<namespace>/]<name>                          typed resources
//	/annex/cr/<shard 0-15>/<group>/<resource>/<bucket>/<cluster>/[<namespace>/]<name>      custom resources
//
// The resource comes first since a stock watch cache wants one root; a cluster owns one disjoint prefix in each resource.
// The bucket is the identity hash of the exported API, or "crd" for a CRD of the cluster itself.
//
//	genericregistry.Store ─► workspace storage ─► stock cacher ─► etcd          typed.go, workspace.go, cached.go
//	stock CRD handler ─► schema adapter ─┬ reads ─► raw cacher of the shard ─►  custom*.go, raw*.go
//	                                     └ writes ─────────────────────────► etcd
//
// Typed resources whose objects are big and alike take the second way, too: see Config.Bulky.
//
// [NewBackend] makes a [Backend] over one shared etcd client. Its RESTOptionsGetters hand stock stores a storage whose
// keys hold the cluster that the context is for, and which
//   - refuses a context without target, and every write or single read that does not name exactly one cluster;
//   - checks the stored key against the object, on every read and every write (guard.go);
//   - sends an event only to the watches of its cluster, and to wildcard ones (select.go);
//   - answers initial events from the cluster's own prefix, whatever else the cache holds (watch.go);
//   - lists consistently without waiting for the cacher's next question to etcd (fresh.go).
//
// [Backend.Heads] lists what a cluster stores in all resources, typed and custom, after one look at etcd that all callers share;
// [Backend.Purge] deletes it by key.
//
// One revision never holds two objects, as a watch that breaks inside a revision would lose the rest: nothing here
// deletes a range or writes two keys in a transaction. (etcd does so itself when a lease ends; therefore a lease holds
// one object.)
//
// The watch caches are client-go reflectors, which would lose all but one of the objects that share a namespace and name
// if they started by WatchList; see cached.go for the marker that keeps them from it.
package storage
