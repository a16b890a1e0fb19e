// Package census counts workspaces, logical clusters, APIBindings and APIExports by phase and condition for /metrics, under the names that kcp
// has for these metrics. It is no step of a request.
//
// A [Census] follows watches over all clusters and keeps some 20 bytes for each object, so that a scrape reads nothing. The labels are the
// shard, phases, conditions and their statuses, which are the server's own words: the number of series does not depend on what tenants make.
// kcp's metrics with the name of a cluster, such as kcp_logicalcluster_object_count, would depend on it. They do not exist here; the limits of
// a workspace are exact, and who exceeds one is told.
//
// Each server counts all objects. Take the maximum over the servers, not the sum.
package census
