// Package logicalcluster contains the admission rules for LogicalClusters. Users cannot create them, can delete one only if it is
// directly deletable, and cannot change its links to its Workspace and its creator. Finalizers keep a Workspace and its LogicalCluster
// until their content is gone. Only the server itself removes these finalizers. An initializer or terminator can only remove itself.
// A workspace accepts inherited permissions again only if its user may say so (inheritance.go).
package logicalcluster
