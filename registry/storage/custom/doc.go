// Package custom is what stock stores and the stock CRD handler work on. A [Storage] is one version of one schema, or a typed resource;
// it writes to etcd and reads from a watch cache of package raw, which knows no schemas: it decodes there, and evaluates the field
// selector (list.go) and what a watch shows by it (watch.go). Watches share what they send (event.go), and what the answer to a list
// takes in memory is counted (holding.go). Readers of one typed object share what it is decoded to (decoded.go), and lists that are read
// again and again share their small objects (listed.go).
//
// Only registry/storage imports it.
package custom
