// Package names knows which names of API resources are in use in a logical cluster, and by whom: by its CustomResourceDefinitions and
// by what its APIBindings bind. The controllers of both decide here whether a name is free, and are told here when a name that they
// wait for is released. So a decision costs as much as its own names, however many others there are.
//
// An [Index] reads a cluster once, when somebody needs its names, and then follows events. It keeps the clusters in use within a
// bound; a cluster that it dropped is read again. Decide while you hold the [Index.Lock] of the cluster, and report what you wrote
// with [Index.Wrote] before you release it: then nobody takes a name twice, although watches are behind.
//
// Run [Index.Spec] beside the controllers that use the index.
package names
