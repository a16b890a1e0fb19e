// Package corekcp is the REST storage of core.kcp.io: logicalclusters and shards, each with its status.
//
// A LogicalCluster is stored without status.URL; the address is made up on read from the address of the server and the
// name of the cluster, which never changes. What follows from its status is set in every write (apis/core/lifecycle). Who may create, change or delete one is
// decided in server/admission, what is well formed in apis/core/validation.
package corekcp
