// Package clusterrole updates the rules of aggregated ClusterRoles from the ClusterRoles that their selectors match, separately in each
// logical cluster. The key of a reconcile is a cluster without a name, so that many changes in a cluster need only one pass.
package clusterrole
