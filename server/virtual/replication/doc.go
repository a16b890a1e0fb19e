// Package replication serves objects of a provider's workspace to the workspaces that bind an APIExport with virtual storage, read-only.
// One request is about one consumer. It comes in two ways:
//
//	the consumer   asks its own workspace: the router finds that the bound resource is virtual (step 4), and calls [Endpoint.Bound]
//	a provider     asks /services/replication/<cluster>/<slice>/clusters/<consumer>/..., which is a virtual.Workspace
//
// What both read is decided in one place, for each request and again for each open watch when something of it changes (source.go):
//
//	binding    the consumer has bound the resource from the APIExport, with virtual storage
//	export     the APIExport exists, and offers the resource through the ClusterCachedResourceEndpointSlice, with an identity
//	slice      the slice is in the same workspace, and names this APIExport and a ClusterCachedResource in the same workspace
//	cached     the ClusterCachedResource is ready, selects this resource, and has that identity
//	resource   the workspace of the provider serves the resource, cluster-scoped and stored there
//
// If one of these is not so, the answer is 503, and open watches end: with 410 if the client has to list again. Nothing is copied. The objects
// are read where they are stored (serve.Target.Cluster is the provider), in the schema that the consumer has bound, through a filter by labels
// (view.go), and registry/storage/lent shows them as if they were the consumer's. It also refuses writes; they do not get that far, because
// only get, list and watch have a target.
package replication
