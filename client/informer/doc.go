// Package informer keeps the objects of a resource of all clusters in memory, for programs that read them more often than they change.
//
// An [Informer] follows one or more servers, each a client.Reader: over HTTP, a client of client/remote. It identifies an object by cluster,
// namespace and name, so objects with equal names in two workspaces never meet, and it survives what a watch survives: broken connections,
// restarts, and history that is gone. After a list it compares what it has with what there is, so handlers hear of what they missed, and only
// of that.
//
//	informer.go  what is kept, and how it is read
//	follow.go    how it is kept current
//	handler.go   who hears of changes
//	lister.go    reading by Go type and cluster
//	factory.go   several informers of one server, by Go type
//
// The memory of an informer is that of the objects, as Options.Transform leaves them, and about 400 bytes for each.
package informer
