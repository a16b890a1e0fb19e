// Package answer makes what stock caches do not give: pages of what only a look at each object selects (page.go), initial events
// from a list of the cluster's own prefix instead of a walk through all clusters, and a watch that goes on from there
// (watch.go). [Error] turns errors of etcd into the API's.
//
// Only registry/storage and the packages below it import it.
package answer
