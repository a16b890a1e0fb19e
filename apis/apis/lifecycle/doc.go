// Package lifecycle is the state machine of an APIBinding, and of each resource that it binds.
//
//	state    means                                              left for   when
//	Binding  not all resources of the export were bound yet     Bound      all are, without a conflict
//	Bound    all resources are bound as the export offers them  Behind     the export is gone, or a change of it cannot be followed
//	Behind   what was bound before stays in use                 Bound      the fault is gone
//	any      but Deleting                                       Deleting   the deletion begins
//	Deleting the objects of its resources are deleted           (gone)     none is left
//
// A resource of a binding:
//
//	state    means                                              left for   when
//	(none)   the binding does not serve it                      bound      the export offers it, and no other resource has its names
//	bound    objects are created, read, changed, and deleted    leaving    the export does not offer it any more
//	leaving  the same, but nothing is created                   bound      the export offers it again
//	leaving                                                     (none)     no object is left
//
// Two things are never undone: a resource keeps the identity under which its objects are stored, and a binding that was Bound once is
// never Binding again. [Check] refuses a write of the controller that would make another step.
//
// A resource is leaving by an annotation that only the server writes ([MarkLeaving]). It is stored before the server looks whether an object is
// left, and every create compares the revision of the APIBinding. So a create is either seen by that look, or refused (registry/storage/owners).
//
// The package reads nothing and imports only API types. Anyone may import it.
package lifecycle
