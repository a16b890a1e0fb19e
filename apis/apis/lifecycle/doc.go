// Package lifecycle is the state machines of API sharing: of an APIBinding and each resource that it binds, of an APIExport until after its
// deletion, and of permission claims.
//
// An APIBinding (binding.go, leaving.go):
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
// never Binding again. [Check] refuses a write of the controller that would make another step. A version in which objects may be stored is forgotten
// only by controllers/storagemigration, when no object is stored in it any more.
//
// A resource is leaving by an annotation that only the server writes ([MarkLeaving]). It is stored before the server looks whether an object is
// left, and every create compares the revision of the APIBinding. So a create is either seen by that look, or refused (registry/storage/owners).
//
// An APIExport (export.go):
//
//	state     means                                             left for   when
//	Gone      there is none, or its workspace is deleted        Nameless   one is created at the same path
//	Nameless  it has no identity yet                            Offered    the key of its identity is there
//	Offered   bindings follow it                                Disputed   the key is missing, or is another one
//	Disputed  the same: the identity is still known             Offered    the key is there again
//	any       but Gone                                          Ending     its deletion begins, and a finalizer holds it
//	Ending    the same, until the finalizer is gone             Gone       the finalizer is gone
//	any       but Gone                                          Gone       it is deleted without a finalizer, or its workspace is
//
// The identity never changes, and is never lost before the export is. What the states mean for others:
//
//	what                   Nameless                    with an identity           Gone
//	new bindings           wait (MissingIdentityHash)  bind                       wait (APIExportNotFound)
//	bindings that exist    keep what they have         follow every change        keep what they have, and are Behind
//	objects of consumers   served                      served                     served
//	claims                 none is in effect           met with the answers       none is in effect. The status keeps what the export asked last,
//	                                                                              and of it what the consumer accepts now
//	its endpoint           503                         answers                    404, or 403 for who may not know
//	its own slice          is made                     stays                      is deleted
//	slices of others       have its address, if        the same                   have no address; APIExportValid is False
//	                       there are consumers
//	identity               is made                     fixed                      its Secret stays, until the workspace is deleted
//
// An export that is created again at the same path, in the same workspace, finds that Secret, and so its consumers and their objects. In another
// workspace at that path, it is another provider's: consumers have to accept it first. With another identity, bindings stay Behind.
// Those who decide by these states ask [CanBeFound] and [CanBeBound]: controllers/apibinding, controllers/endpointslice, and the virtual workspace
// server/virtual/apiexport. [CheckExport] refuses another step.
//
// A permission claim in one binding (claim.go), which the export makes, the consumer answers in the spec, and the server notes in the status:
//
//	state      means                                            left for                     when
//	Unclaimed  the export does not make it, nobody accepts it   Open, Rejected               the server notes that the export makes it
//	Open       neither accepted nor rejected                    Rejected, Accepted           the consumer answers
//	Rejected   the consumer does not want it                    Open, Accepted               the consumer changes the answer
//	Accepted   not noted yet, or without a verb in common       Applied                      the server notes the verbs in common
//	Accepted                                                    Open, Rejected               the consumer changes the answer
//	Applied    in effect while the export is there              Accepted                     the server notes that no verb is in common any more
//	Applied                                                     Stale                        the consumer takes it back, or accepts less
//	Stale      the status has not followed the consumer yet     any                          the server notes what is so now
//	Stale                                                       Applied                      the consumer accepts it again
//	Unknown    accepted, although the export does not make it   Accepted, Applied            the server notes that the export makes it
//	Unknown                                                     Unclaimed                    the consumer does not accept it any more
//	Unclaimed                                                   Unknown                      the consumer accepts what nobody asks for
//	any        that the export makes                            Unclaimed, Unknown           the server notes that the export does not make it any more
//
// The server writes no state Stale, and changes no answer. [CheckClaims] refuses another step of the controller: nothing wider than what is asked
// for and accepted is ever noted as applied. What the provider can do is decided without the status, from the export and the answers as they are
// (apis/apis/claims, server/virtual/apiexport), so a Stale claim gives no right.
//
// The package reads nothing and imports only API types. Anyone may import it.
package lifecycle
