// Package logicalcluster holds the admission rules for LogicalClusters: users do not create them, delete one only if it says
// that they may, and leave alone what ties it to its Workspace and its creator. The finalizers that hold a Workspace and
// its LogicalCluster until their content is gone stay until the server itself takes them away.
package logicalcluster
