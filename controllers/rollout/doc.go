// Package rollout is the controller of APIExportRollouts: it decides which consumers of an APIExport get a new schema, and when.
//
//	controller.go  what is watched, and one step for one rollout
//	target.go      what is rolled out: which schemas consumers had, and which they get
//	members.go     the consumers of one rollout, by wave and state
//	advance.go     the rules: validate, let through, stop, pause, complete
//	undo.go        the way back
//	gate.go        which APIBindings may take a new schema now
//	check.go       validates the objects of a consumer
//
// controllers/apibinding does what is decided here. It asks the [Gate] before an APIBinding takes another schema. A gate is in memory, and open for a
// few bindings at a time, whose objects have been validated. A server that takes over begins with closed gates, and validates again. So a rollout costs
// one write for each binding that gets a new schema, and a write of its own status each second.
//
// What a rollout decided is in its status: the schemas, the revision, the current wave, and the consumers whose objects are not valid. A
// wave begins when the status that says so is stored. A new binding, and an undo, need no gate: they follow from spec and status
// (apis/annex/rollout).
//
// How many consumers there are, and what they have, is known to controllers/consumers. Nothing is kept here for a consumer that is not
// about to change.
package rollout
