// Package lifecycle is the state machine of a logical cluster: its phases, and what leads from one to the next.
//
//	phase         left for       when
//	Scheduling    Initializing   the logical cluster is created with initializers; usually it is created in that phase
//	Scheduling    Ready          it is created without initializers; usually it is created in that phase
//	Initializing  Ready          the last one of status.initializers is removed
//	Ready         Inactive       an annotation asks for it (controllers/logicalcluster)
//	Inactive      Ready          the annotation is gone (controllers/logicalcluster)
//	any           Terminating    the deletion begins, and status.terminators names somebody
//	any           Deleting       the deletion begins, and status.terminators is empty
//	Terminating   Deleting       the last one of status.terminators is removed
//
// [Settle] makes these steps in the very write that leads to them, so that no controller has to follow with a write of its own and
// no reader finds a logical cluster between two phases. It also sets what repeats the status in the metadata: the label of the phase, one label
// for each unfinished initializer and terminator, by which virtual workspaces select, and the finalizer of terminators.
//
// [Release] says what an initializer or a terminator may write: it removes itself, and changes nothing else.
//
// The package knows nothing of storage and users. registry/corekcp settles what is written, server/admission/logicalcluster checks
// releases, and the virtual workspaces of server/virtual/lifecycle select by the labels. Anyone may import it.
package lifecycle
