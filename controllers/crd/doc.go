// Package crd is the controller of customresourcedefinitions, one for all clusters: it accepts names, establishes
// definitions, reports violations, and deletes the custom resources of a definition before the definition.
//
// Reasons and messages of conditions are those of Kubernetes. Unlike there, all conditions are written in one update, and
// names can also conflict with resources that the cluster has bound: a bound resource keeps its names, and a definition whose names
// were never accepted is never served. This controller does not change definitions in system:bound-crds, which represent bound
// schemas.
//
// registry/catalog decides from the conditions what is served.
package crd
