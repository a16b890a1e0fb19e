// Package operator runs the operator of a provider over the objects of all consumers. It is built on controller-runtime: reconcilers, predicates,
// handlers, leader election, metrics and health checks are stock ones, and a request names the cluster, too.
//
// A [Manager] is a stock manager of the provider's own workspace, where its Lease is unless LeaderElectionConfig leads elsewhere, together with one
// cache of all consumers:
//
//	endpoints.go    which endpoints an APIExportEndpointSlice has; they come and go
//	initializer.go  where the endpoint of an initializer is
//	waiting.go      what the log says while there are none
//	host.go         where a workspace is through a host
//	door.go         which URL leads to an endpoint for who came through a host
//	fleet.go        the endpoints that are followed, and the informers over all of them
//	cluster.go      one consumer: its client, its recorder
//	client.go       a controller-runtime client: reads from the shared cache, writes to one cluster
//	read.go         how it reads
//	transport.go    how a request gets to its cluster
//	mapper.go       which kinds there are
//	builder.go      For, Owns, Watches
//	source.go       what feeds a controller
//	webhook.go      which cluster an admission webhook is asked about
//
// Nothing is resident for a consumer but its objects: all share connections, discovery and clients. Objects lose their managed fields in the
// cache unless Options.Transform says otherwise.
//
// A stock manager cannot do this: its cache, and the reflectors of client-go, identify an object by namespace and name.
package operator
