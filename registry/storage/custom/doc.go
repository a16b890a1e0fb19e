// Package custom is what the stock CRD handler works on. A [Storage] is one version of one schema; it writes to etcd and reads from
// a watch cache of package raw, which knows no schemas: it decodes there, and evaluates the field selector (list.go) and what a
// watch shows by it (watch.go). Watches share what they send (event.go), and what the answer to a list takes in memory is counted
// (holding.go). Typed resources whose objects are big and alike are kept the same way; readers of one of their objects share what it is
// decoded to (decoded.go).
//
// Only registry/storage imports it.
package custom
