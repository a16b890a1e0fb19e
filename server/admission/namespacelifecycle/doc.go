// Package namespacelifecycle is the admission plugin that ties objects to their namespace, in every logical cluster. It refuses objects
// in a namespace that does not exist or is terminating. It also refuses to delete the namespaces that every cluster needs, while the
// cluster exists.
//
// It corresponds to the stock plugin for namespaces, which supports only one cluster. It reads the watch cache, and reads again from
// etcd before it refuses a request.
package namespacelifecycle
