// Package event records Events: what users and providers must know and see nowhere else unless they look for it. [Recorder.Record] cannot
// fail, and delays nobody. The server's own controllers and the operators of client/operator use it.
//
// An Event is in the workspace of the object that it is about, in the namespace of the object, or in "default" for an object without
// one. What is told again is counted: the name of an Event follows from the object, the reason and the message, so that another server finds
// the Event of the one before. The same is told once in some minutes, a workspace gets a few Events at once and then one in half a minute,
// and what waits to be written is bounded. What exceeds this is dropped, and so is what cannot be written, such as in a workspace that is
// being deleted. Events are metered apart from what a workspace stores, and expire by themselves.
//
// Stock recorders are not used, because they are for one cluster: each would need a goroutine and a cache per workspace.
package event
