// Package apiextensions is the REST storage of customresourcedefinitions: the stock one of k8s.io/apiextensions-apiserver,
// strategy, validation and table columns included, with these differences:
//
//   - Outside the server's own clusters, groups that end in apis.kcp.io and annotations in the domain apis.kcp.io are
//     reserved (403).
//   - In system:bound-crds, definitions are named by the UID of the schema that they stand for, and deletion is immediate:
//     the objects belong to the clusters that bind the schema.
//
// The internal type of apiextensions is the storage type. Conditions are set by controllers/crd; what is served follows
// from them in registry/catalog.
package apiextensions
