// Package endpointslice fills APIExportEndpointSlices: a slice lists the address of the export's virtual workspace while at
// least one binding to the export exists, and the partition, if it names one, holds the shard.
//
// The address is written as a path; registry/apis puts the address of the server before it on read. All of Annex is one
// shard to its clients, however many replicas serve it, so there is one address at most.
package endpointslice
