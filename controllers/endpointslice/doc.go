// Package endpointslice fills APIExportEndpointSlices: a slice lists the address of the export's virtual workspace while at
// least one binding to the export exists, and, if the slice names a partition, the partition contains the shard.
//
// The address is written as a path; registry/apis adds the address of the server on read. All of Annex is one
// shard to its clients, however many replicas serve it, so there is at most one address.
//
// ClusterCachedResourceEndpointSlices (cached.go) list the address of their own virtual workspace under the same conditions, and while their
// ClusterCachedResource is ready.
package endpointslice
