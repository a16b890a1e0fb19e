// Package garbage collects what owner references say is no longer needed, in all logical clusters: one collector, whose work is shared
// out fairly between clusters by the queue of controllers/multicluster.
//
// It does what the garbage collector of Kubernetes does
// (https://kubernetes.io/docs/concepts/architecture/garbage-collection/):
//
//   - An object whose owners are all gone is deleted. References to owners that are gone are removed from an object that has others.
//   - The deletion of an owner with the finalizer foregroundDeletion deletes its dependents, and the owner after those of them that
//     block it. An object whose owners are all being deleted like that is deleted in the same way if it has dependents.
//   - The deletion of an owner with the finalizer orphan first removes the references to it from its dependents.
//
// An owner is what has the name, the kind and the UID of the reference, in the same cluster, and in the same namespace unless it has none.
// A reference to a kind that the cluster does not serve is left alone, with all others of that object, until the cluster serves it. So is
// a reference of a cluster-scoped object to a kind in namespaces. An Event OwnerRefInvalidNamespace reports that, and owners that are in
// another namespace, which count as gone.
//
//	graph.go     what is known of objects with owners, and of those owners
//	observe.go   events of heads change the graph, and make work
//	examine.go   deletes one object, or removes references from it, as the graph says
//	check.go     finds out whether an owner is there
//	finalize.go  removes the two finalizers from owners, as a list says that misses nothing
//	report.go    Events
//
// The graph comes from one watch of the heads of all objects (client.Content). It keeps only objects with owners, owners that are being
// deleted in the foreground or that orphan their dependents, and the owners that are named. An object without owners costs no more than
// a look into a map. The graph may be behind and only makes work: what is irrevocable is decided by what storage says at that time. An owner
// counts as gone if its deletion was seen, or if a read that misses nothing did not find it. An object is deleted only in the state in
// which it was examined. The finalizers are removed after a list that misses nothing; all owners of a cluster that wait for that share one.
package garbage
