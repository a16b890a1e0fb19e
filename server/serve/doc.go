// Package serve is the last mile of a request (step 5 of docs/request.md), the same for the router and for every virtual
// workspace. They decide what a request is for and hand over a [Target]. A [Server] does the rest, in this order:
//
//	serve.go     refuse to create objects of a resource that is being removed; by server-side apply, too
//	serve.go     find the handler: the CRD handler of the schema's hash (registry/schema), or a go-restful container
//	hold.go      hold a watch: end it when what it was opened on is no longer so
//	serve.go     put cluster, bucket, owner and filter into the context, which storage obeys; a target that names no cluster is refused
//	workspace.go say in lists and watches over many clusters in which workspace each object is, if the target says who may know it
//	stock.go     warn stock informers that ask for many clusters, which would mix up their objects; the sentence that says what to use
//	serve.go     give a write a context that lasts as long as its work (registry/lasting)
//
// [Watches] is the one registry of open watches. The path index, the catalog and the virtual workspaces learn of
// changes. They call [Watches.Recheck] with the cluster that changed, and keep no lists of their own.
//
// The package knows nothing of URLs, users' permissions or discovery. The router and server/virtual import it.
package serve
