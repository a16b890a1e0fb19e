// Package multicluster runs controller-runtime controllers whose request is a client.Key: a cluster beside namespace and
// name. One controller serves all clusters; nothing is started for any one of them.
package multicluster
