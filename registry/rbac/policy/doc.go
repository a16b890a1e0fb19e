// Package policy answers, from the RBAC objects of a logical cluster, what a user may do in it.
//
// What holds in a cluster is the union of its own roles and bindings with those of system:admin: a binding of system:admin
// is effective in every cluster, and a binding of any cluster may refer to a ClusterRole of system:admin. Never the other way
// round: a binding of system:admin only ever finds roles of system:admin, and no cluster but these two has a say.
//
// The name of a ClusterRole of system:admin means that role in every cluster, even if the cluster stores one of that name.
// Otherwise a user who may create and delete ClusterRoles, but not bind cluster-admin, could create an empty cluster-admin, bind it,
// and delete it. [SystemRole] says which names are reserved for these roles; package rbac refuses to create them elsewhere.
//
// ClusterRoleBindings with the annotation of package inheritance also count in every cluster below theirs, unless a LogicalCluster in between
// refuses that. They are not copied: the Evaluator walks from a cluster to those above it, and asks their bindings who the user is there. A role
// behind such a binding is one of the system, or has the annotation, too. So every write that changes what counts below is a write of an object
// with the annotation, and package rbac lets only those write it who may use the verb inherit on it. Nothing is walked for a request that the
// cluster itself allows. For others, a cluster above costs one more look into a map.
//
// [Evaluator] compiles the objects of a cluster into an index by subject when that cluster is first asked about, and keeps the
// indexes in a view (package view). A change drops the index of its cluster, so a revoked permission never outlives the event
// that revokes it. Before the Evaluator says no, it makes sure that it has seen every write that was acknowledged before.
//
// The groups that a LogicalCluster requires of whoever enters it (annotation authorization.kcp.io/required-groups) are a part of
// its policy too.
//
// A user may carry scopes that confine the identity to some clusters, see [Effective], and warrants that name further identities, see
// [Identities].
//
// The cluster is always a parameter, never taken from the context.
package policy
