// Package apibinding is the controller of APIBindings. For each APIBinding it finds the export and its schemas, copies each schema as
// a CustomResourceDefinition into system:bound-crds, and records in the status what the cluster may use. The server serves what is
// recorded there (registry/catalog), even if the provider is deleted later.
//
//	reconcile.go  one step for one binding
//	bind.go       the rules: export, identity, schemas, conditions
//	claims.go     which permission claims are in effect
//	rollout.go    which schema a binding gets while an APIExportRollout is at work
//	evolve.go     which schema may replace another
//	names.go      which names others have (package names); the first writer wins
//	definition.go the copies in system:bound-crds, named by the UID of their schema and shared by all bindings
//	finalize.go   deletion: deletes the objects first, unless another binding waits for them
//	cleanup.go    deletes copies after their last binding
//	keys.go       which bindings a change affects
//	offers.go     which changes of an export bindings see
//	events.go     which faults users are told by Events
//	final.go      default bindings of a new workspace, in their final state at once
//
// One controller serves all clusters. Two bindings of one cluster are never bound at the same time.
package apibinding
