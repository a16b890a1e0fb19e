// Package multicluster runs controller-runtime controllers whose request is a client.Key: a cluster in addition to namespace
// and name. One controller serves all clusters; nothing is started for a single cluster.
package multicluster
