// Package storage is step 7 of docs/request.md: it turns what a REST storage asks for into keys of etcd. Only it and the packages
// below it make or read a key.
//
//	/annex/<group|core>/<resource>/<cluster>/[<namespace>/]<name>                          typed resources
//	/annex/cr/<shard 0-15>/<group>/<resource>/<bucket>/<cluster>/[<namespace>/]<name>      custom resources
//
//	/annex/version                                                                         version of the data; see CheckVersion
//	/annex/etcds                                                                           which etcd has what, if there are several
//	/annex/annex.dev/gates/<cluster>/<resource>/<name>                                     of what objects in another etcd than the main one belong to
//	/annex/annex.dev/templates/<name>                                                      what clusters are made from (package rendered)
//
// The resource comes first since a stock watch cache wants one root; a cluster owns one disjoint prefix in each resource.
// The bucket is the identity hash of the exported API, or "crd" for a CRD of the cluster itself.
//
//	genericregistry.Store or stock CRD handler ─► custom ─┬ reads ─► raw ─► watchcache ─► etcd
//	                                                      └ writes ─────────────────────► etcd
//
// Typed and custom resources take the same way. A typed one has a watch cache of its own; custom ones share sixteen. The parts, from
// below:
//
//	head         what is known of an object without its schema
//	filter       which objects a request concerns, by their heads
//	layout       keys, and the guard that compares key and object on every read and write
//	owners       what an object belongs to: it is created only while that exists
//	feed         one watch of etcd for all stores
//	compaction   removes old revisions before they fill etcd
//	intern       keeps once what many objects have alike
//	pack         keeps bytes small by what earlier ones had
//	rendered     what a cluster contains from the beginning, without storing it
//	watchcache   stock cachers that serve all clusters
//	answer       pages and initial events that stock caches do not give
//	raw          watch caches of stored bytes
//	object       create, get, update, delete of one object
//	custom       what stock stores and the CRD handler work on
//	orphans      finds what belongs to nothing, in etcd alone
//
// Every storage that is handed out waits for etcd only until the request ends (ending.go), because the handler of a write has a
// context that does not.
//
// [NewBackend] makes a [Backend] over one shared etcd client. Its RESTOptionsGetters hand stock stores such storages. They refuse a
// context without target, and every write or single read that does not name exactly one cluster.
//
// [Backend.Heads] lists what a cluster stores in all resources, typed and custom, after one look at etcd that all callers share;
// [Backend.Purge] deletes it by key.
//
// A part of the data may be in other etcds (etcd.go, override.go, placement.go). What others belong to, and what is rendered, is in the main
// one. Each etcd has its own watch caches and revisions; objects in another one than their owners are created past gates (package owners).
//
// One revision never holds two stored objects, as a watch that breaks inside a revision would lose the rest: nothing here deletes a range
// of objects, or writes two in a transaction. Objects that are rendered appear and go in one revision, which package rendered answers for.
package storage
