// Package content works on objects of every kind alike, without knowing their types. The deletion of namespaces and clusters
// and garbage collection use it; so can all that counts or copies objects. It is not on the way of a request: it uses the REST storage as a
// request does.
//
// A [Content] lists the [head.Head] of each object that a cluster, a namespace or the whole server stores, typed and custom,
// and watches them. From a head it reads the whole object or deletes it. Typed objects are deleted through the server's own
// client, and custom resources through the storage of the schema that serves them; admission decides about both. Custom resources that a webhook
// converts are read, changed and deleted as they are stored, because the webhook may be gone. Only [Content.Rewrite] converts. Finalizers are honored, with one exception: a
// custom resource that nothing can read is deleted by key, because its definition is gone or has another scope, or its bytes are broken.
// Nobody could remove its finalizers.
//
// It costs nothing while unused and keeps nothing for a cluster. A list takes one small read of etcd, shared by all callers, and
// reads the watch caches of the kinds that the cluster may store. [Content] implements client.Content for the controllers. server
// builds it; registry and server may import it.
package content
