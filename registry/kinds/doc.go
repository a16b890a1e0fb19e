// Package kinds says what the server stores, and builds the REST storage of it.
//
// It has two halves:
//
//   - The table, [All], has a row for every resource that the process itself serves, ours and those of Kubernetes. A [Row] holds
//     the facts that never change: names, versions, Go types, how objects are stored, which workspaces serve them, who writes
//     their status. Everything that lists kinds is derived from the table: the runtime.Scheme and its codecs ([Table.NewScheme]),
//     which groups are reserved, what a host forwards, what root exports.
//   - The builder, [Kind], holds the behavior of a kind: validation, what a write prepares, what a read fills in. A
//     registry/<group> folder has one for each of its resources and repeats nothing that the row says.
//
// The table fails closed. What a row leaves out is the answer that gives away least: no workspace serves the kind, root does not
// export it, only the server writes its status, no other etcd has it. What a group leaves out is answered alike: no host forwards it,
// and only the server defines resources in it. [Table.Check] refuses storage without a row, and a row without storage.
//
// A kind is reached in three ways, over one storage and one watch cache:
//
//   - the resource, for users, who do not write what a subresource is for;
//   - its subresources, which write one part of the object;
//   - the system store, for the server itself: status and metadata are kept as given, all else is prepared and validated as for
//     users.
//
// Each of them sets the annotation kcp.io/cluster before an object is validated (see [Stamp]), in dry runs too, so that nothing
// that reads the annotation can be misled by what a client wrote there.
//
// Kinds have no internal twin: the Go type of the stored version is registered under the version __internal too, so that the
// stock handlers, which work on internal objects, find a kind to convert to. The conversion then changes nothing. A kind without
// __internal would be accepted on create and never listed, because its watch cache could not decode it. There are two exceptions:
// CustomResourceDefinitions, whose stock strategy needs the internal type, and kinds with an older version, which is converted.
//
// registry/<group>, registry/storage and server import this package. Defaults, field labels and conversions of Kubernetes kinds
// are in the package k8s below it.
package kinds
