// Package engine is the agent of `annex sync`: it offers resources of a service cluster to workspaces, and keeps objects on both sides in step.
//
//	agent.go        the managers of both sides
//	definitions.go  a CustomResourceDefinition changes: it is published, and its objects are followed
//	watch.go        what leads to a reconcile of an object
//	reconcile.go    one object: the order of all that follows
//	counterpart.go  its counterpart in the service cluster
//	apply.go        how that is written
//	namespaces.go   the namespace of the counterpart
//	status.go       its status on the way back
//	related.go      which Secrets and ConfigMaps belong to it
//	copies.go       their copies on the other side
//	refusals.go     what users are told
//	metrics.go      what is counted
//
// Nothing is remembered between two reconciles that is not in the objects themselves: names follow from the consumer's object (package names), and
// labels and annotations say what the agent has made. So it may be killed anywhere.
//
// The agent changes and deletes only what it has made. Each write is one of:
//   - create, which fails if something is there;
//   - apply, update or delete of an object that was just found to be the agent's own, with its UID or resourceVersion as a precondition.
//
// An object of a consumer leads to writes in one namespace, whose name has a hash of the consumer (or in the one that the configuration names), and
// nothing in the object can change that.
package engine
