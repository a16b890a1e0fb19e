// Package builtin builds the REST storage of kinds of k8s.io/api from one description each: a [Kind] says what is
// particular to a kind, [Kind.Install] adds its stores to a group.
//
// Each kind gets up to three ways in, over one storage and one watch cache:
//   - the resource, for users, who cannot write what a subresource is for;
//   - its subresources, which write nothing else;
//   - the system store, for the server itself: status and metadata are kept as given, the rest is prepared and validated
//     as for users.
//
// Behavior is that of Kubernetes, as far as clients can tell, but for three things: every object says in kcp.io/cluster
// where it lives, before it is validated and in dry runs too; defaults are also applied to what the server itself writes,
// which no decoder has seen; and kinds have no metadata of controllers that are not here.
//
// registry/core, registry/coordination and registry/events are built on it. Our own kinds are built by registry/kind.
package builtin
