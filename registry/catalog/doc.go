// Package catalog knows what each logical cluster serves beyond the built-in APIs: its own CustomResourceDefinitions and
// the resources that its APIBindings bind. The router asks it (step 4 of docs/request.md) which schema and which
// bucket a group and resource stand for in a cluster.
//
// A [Snapshot] is immutable and computed when somebody asks: from two lists in the cluster, and for bound resources from
// the CustomResourceDefinition called by the schema's UID in system:bound-crds. A resource is taken from the first of
//
//	1 typed   bound, and served by typed REST storage (tenancy.kcp.io, topology.kcp.io): needs no CustomResourceDefinition
//	2 bound   in status.boundResources of an APIBinding; its bucket is the identity hash
//	3 local   an established CustomResourceDefinition of the cluster; its bucket is "crd"
//
// and names of built-in resources are never taken over at all.
//
// A snapshot also says by which object the cluster serves a resource, and from which APIExport a bound one is ([Snapshot.Source]).
//
// Snapshots live in a view (package view) and are dropped by watch events, those of a bound schema for all clusters that bind
// it. What equals is shared: five thousand clusters with the same CustomResourceDefinition hold one object, one [Resource] and
// one Snapshot, found by content hash and kept by weak pointers only, so that memory follows what is in use.
//
// Reads come from watch caches and may be a little behind. Before a resource counts as missing, ask [Catalog.Refresh].
//
// Config.Changed tells those who hold watches open when to look at the catalog again.
package catalog
