// Package namespacelifecycle is the admission plugin that ties objects to their namespace, in every logical cluster: nothing
// is created in a namespace that does not exist or that is being emptied, and the namespaces that every cluster relies on
// are not deleted while the cluster lives.
//
// It does what the stock plugin of the same purpose does, which knows one cluster only. It answers from the watch cache and
// looks a second time, past the cache, before it refuses.
package namespacelifecycle
