// Package clusterrole keeps the rules of aggregated ClusterRoles in step with the ClusterRoles that their selectors match, in
// each logical cluster by itself. The key of a reconcile is a cluster, without a name, so that many changes there cost one pass.
package clusterrole
