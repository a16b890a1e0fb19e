// Package content is for whoever works on objects of every kind alike: the deletion of namespaces and clusters, and what else
// counts, collects or copies objects without knowing their types. It stands beside the way of a request, on the REST storage.
//
// A [Content] lists the [head.Head] of each object that a cluster, a namespace or the whole server stores, typed and custom,
// and follows them by a watch. From a head it reads the whole object, or deletes it: typed objects through the server's own
// client, with admission as the server, and custom resources through the storage of the schema that serves them. Finalizers are
// honored, except of custom resources that nothing can read any more, because the definition is gone or the bytes are broken:
// nobody could take their finalizers off, so they are deleted by key.
//
// It costs nothing while unused. A list costs one small read of etcd, shared by all callers, and a look into the watch caches of
// the kinds that the cluster may store; nothing is kept for a cluster. [Content.DeleteAll] and [Content.Purge] make it the
// client.Content of the controllers. server builds it; registry and server may import it.
package content
