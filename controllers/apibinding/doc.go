// Package apibinding binds: for each APIBinding it finds the export and its schemas, copies each schema as a
// CustomResourceDefinition into system:bound-crds, and records in the status what the cluster may use. What is recorded
// there is served (registry/catalog), whatever becomes of the provider later.
//
//	reconcile.go  one binding, one step on
//	bind.go       the rules: export, identity, schemas, conditions
//	evolve.go     which schema may follow another
//	names.go      who has taken which name in a cluster; the first writer wins
//	definition.go the copies in system:bound-crds, named by the UID of their schema and shared by all who bind it
//	finalize.go   deletion: the objects go first, unless another binding waits to take them over
//	cleanup.go    the copies go with their last binding
//	keys.go       which bindings a change concerns
//	final.go      default bindings of a new workspace, in their final state at once
//
// One controller serves all clusters. Two bindings of one cluster are never bound at the same time.
package apibinding
