// Package definitions stores CustomResourceDefinitions. Each step of reading or writing one copies all nodes of all schemas, of which there may
// be tens of thousands, while what changes is mostly its status.
//
//	bytes ─► [Codec.Decode] ─► the spec, if these bytes of it were read before; otherwise all of it is decoded, and [Specs] remember the spec
//	bytes ◄─ [Codec.Encode] ◄─ a definition: the bytes that its spec was read from, if it is that very spec
//
// So definitions share a spec, also with others that have the same, such as those of an operator in many workspaces. As with objects from a
// watch cache, nobody may change what the outermost fields refer to.
package definitions
