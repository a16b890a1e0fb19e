// Package lifecycle is the state machine of a logical cluster, and of the Workspace that shows it: the phases, and what leads from one to the
// next. The machine of a LogicalCluster (phase.go):
//
//	phase         left for       when                                                            moved by
//	Scheduling    Initializing   the logical cluster has initializers; usually it is created so  controllers/workspace, server/home
//	Scheduling    Ready          it has none; usually it is created so                           controllers/workspace, server/home
//	Initializing  Ready          the last one of status.initializers is removed                  the initializer, by its virtual workspace
//	Ready         Inactive       an annotation asks for it                                       controllers/logicalcluster
//	Inactive      Ready          the annotation is gone                                          controllers/logicalcluster
//	Ready         Unavailable    nothing of ours does that; system:masters can, and back         system:masters
//	any           Terminating    the deletion begins, and status.terminators names somebody      the write that begins the deletion
//	any           Deleting       the deletion begins, and status.terminators is empty            the write that begins the deletion
//	Terminating   Deleting       the last one of status.terminators is removed                   the terminator, by its virtual workspace
//	Deleting      (gone)         nothing is left in it                                           controllers/logicalcluster
//
// No phase comes back, except between Ready, Inactive and Unavailable. Lists of initializers and terminators only get shorter once the phase is
// no longer Scheduling, and nothing is Ready while somebody has to initialize it.
//
// A Workspace shows the phase of its LogicalCluster, and may miss phases in between (controllers/workspace). It has these steps besides:
//
//	phase         left for       when
//	any           Unavailable    there has been no LogicalCluster for a minute, or what the Workspace is mounted on is not Ready, and the Workspace
//	                             is not being deleted
//	Unavailable   any            but Scheduling: it is there (again)
//
// A Workspace that was deleted before it was placed stays Scheduling until it is gone, or until it shows how its LogicalCluster is deleted.
//
// [CheckCluster] and [CheckWorkspace] refuse every other step: the controllers ask before they write, and the validation of both kinds refuses
// such a status of anybody, system:masters included.
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
