// Package owners makes sure that nothing is stored that belongs to nothing. A [Client] writes to etcd for stock stores. The transaction
// that creates an object also compares the objects that it belongs to, at the revisions at which they were seen present and not
// being deleted:
//
//	LogicalCluster             of every object, except of itself and of what is in the server's own clusters
//	Namespace                  of every object in a namespace
//	CustomResourceDefinition   of a custom resource
//	APIBinding                 of a custom resource, or a typed one, that a cluster serves while it is bound
//
// Beginning to delete an object writes it, which changes its revision. So whoever deletes what belongs to an object finds all of it in
// a list that is read after the deletion began: a create that has not reached etcd by then fails, on whatever server.
//
// Key and context say what an object belongs to (owners.go); a create whose context lacks an [Owner] that it needs is refused. The
// revisions come from the watch caches or from the last writes of this process (state.go), so that a create takes one round trip
// (put.go). If a compared object has only changed, the create is tried again with its new revision. If it is gone, is being deleted, or
// is another object of the same name, the create is refused (refuse.go), always by what etcd says now.
//
// An object may be in another etcd than its owners, where no transaction can compare them (gate.go). There the transaction compares a gate
// for each owner, a key that has to have the revision at which this process knows it:
//
//   - A create makes the gates that are missing, then reads the owners, and only then uses the gates. A gate that was used once is used
//     again without a look, as long as memory does not say that the owner has another UID, is being deleted or is gone.
//   - The write that begins the deletion of an owner removes its gate. Whoever looks for what belongs to owners that are being deleted
//     removes their gates before (Shut), in case that the first process ended too early.
//
// So an owner whose gate is used was there after the gate was made. If its deletion began later, the gate is removed before the look, and a
// create that has not reached etcd by then fails; a gate that is made again has another revision, and whoever made it finds no owner. A
// process that ends between making a gate and looking leaves a key behind that lets nobody pass; package orphans finds it.
//
// It also accounts for what a workspace with limits stores (meter.go), exactly: such a workspace has a meter, one more key in etcd, and
// every transaction that creates, changes or deletes an object of it also compares the meter and writes the new sum. So a meter that
// exists is right, whatever servers write, and without a further revision. Other workspaces have none, which their transactions compare.
// Each etcd has a meter of its own, for what is there.
// A meter begins with the first create that needs it. Its first value makes all writes of the workspace fail until one of the writers
// has counted what is stored; since nothing changes meanwhile, they may all count. Creates remove a meter whose limits are gone.
//
// ResourceQuotas are kept in the same way (charge.go). What the quotas of a namespace limit is a key of its own (hard.go), which every write of
// a ResourceQuota that changes it writes in its transaction, and which every creation and deletion in the namespace compares; without quotas
// it is not there. For each limited resource, other keys say how much room is left (used.go), divided into parts so that several objects
// can be created at a time: a creation also takes one from a part, a deletion gives one back. The room is right as long as what the quotas
// limit does not change. Then whoever needs it counts, while nothing that would change the number can be written. So there is nothing to
// be given back after a failure, and nothing is counted in memory. In another etcd than the quotas, there is a copy of what they limit
// (adopt.go). What quotas limit in a whole cluster, and the room there, are keys of the same kind without a namespace. A creation heeds both.
//
// Once all objects of a custom resource are rewritten in another version, none may be stored in the old one (retired.go): a server with an old
// schema could do that. A key says that a version is retired in a cluster, and every transaction that stores a custom resource compares that there is none
// for its version. Whoever finds one looks at the object by which the cluster serves the resource. If that has changed since, and lists the
// version, the key has had its time. So what counts is that object alone, and the key makes sure that somebody looks.
//
// Only registry/storage imports it.
package owners
