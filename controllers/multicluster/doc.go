// Package multicluster runs controller-runtime controllers whose request is a client.Key: a cluster beside namespace and
// name. One controller serves all clusters; nothing is started for any one of them. Clusters take turns in the queue of a controller, so
// that what one cluster has to be done delays the others by one reconcile at a time.
package multicluster
