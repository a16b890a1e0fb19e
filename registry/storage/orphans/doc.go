// Package orphans finds and removes what is stored in etcd and belongs to nothing: objects whose LogicalCluster, namespace,
// CustomResourceDefinition or APIBinding does not exist, and custom resources stored under another scope than the one that is
// served. Nobody can read or delete them. Package owners keeps new ones from being stored; older versions of the server left some.
//
// It works on etcd alone, whether or not a server runs. Package owners says what belongs to what.
package orphans
