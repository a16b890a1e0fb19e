// Package encryption encrypts what is stored in etcd, by the transformers that the stock EncryptionConfiguration names for each resource.
// An [Encryption] hands out the transformer of a resource. Everything that reads values from etcd reads them through it:
//
//	layout     writes and reads of single objects; the key in etcd is authenticated with the value, so a value opens only at its key
//	raw        what watch caches take in
//	owners     LogicalClusters, namespaces, definitions, bindings and ResourceQuotas, which decide about other writes
//	rendered   LogicalClusters, which say what a cluster contains from the beginning
//	orphans    `annex check data`
//
// What is counted and compared in etcd (package owners) and templates (package rendered) are no objects, and are not encrypted.
//
// Objects that package rendered makes are not in etcd, but stock stores read them as if they were. They carry a mark ([Encryption.Mark])
// that nobody outside of this process knows, so that nobody who can write to etcd can store an object that is not encrypted. Tombstones are
// not encrypted: who can write to etcd can delete objects anyway.
//
// A value that no key opens is one damaged object (package raw), unless its keys are only away (see [IsTemporary]): then reading fails as a
// whole, and is tried again. [Encryption.Heal] looks whether damaged values can be opened by now.
//
// Only registry/storage and the packages below it import it.
package encryption
