// Package kind builds the REST storage of our own cluster-scoped kinds from one description each: a [Kind] says what is
// particular to a kind, [Kind.Install] adds its stores to a group.
//
// Each kind gets three ways in, over one storage and one watch cache:
//   - the resource, for users: they do not write status;
//   - its status subresource, if the kind has a status: nothing but the status is written;
//   - the system store, for the server itself: status and metadata are kept as given.
//
// Fields that depend on the address of the server are never stored. [Kind.Render] fills them in on each object that goes
// to a user, also in watches, where the objects belong to the watch cache and are copied first.
//
// registry/tenancy, registry/corekcp and registry/topology are built on it.
package kind
