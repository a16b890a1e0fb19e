// Package crd is the controller of customresourcedefinitions, one for all clusters: it accepts names, establishes
// definitions, reports violations, and deletes the custom resources of a definition before it goes.
//
// Reasons and messages of conditions are those of Kubernetes. Unlike there, all conditions are written in one update, and
// names are also in conflict with resources that the cluster has bound: what is bound already wins, and a definition whose
// names were never accepted is never served. Definitions in system:bound-crds stand for bound schemas and are left alone.
//
// What is served follows from the conditions, in registry/catalog.
package crd
