// Package fit says whether objects that are stored are valid by a definition that they were not written by, such as the next APIResourceSchema of an
// APIExport.
//
//	fit.go      what is checked of an object, and in which order
//	version.go  what is checked in one version
//	fault.go    what is said about it
//
// An object fits if a client could write it back as it reads it, in every version that is served, with all validation of a new object: as in
// Kubernetes, an update does not validate what it leaves as it is, so an object that does not fit can still be changed elsewhere. An object is
// pruned, defaulted and converted as the server would do before. A conversion webhook is not called: then an object is checked only in the version
// in which it is stored.
//
// Faults name fields and what the definition requires of them. They never contain values of an object: those who read faults may not be those who
// may read objects. Keys of maps are part of the name of a field.
//
// What checking an object costs is bounded as it is for requests (schemas/cost). It is logic only, but it imports the CEL compiler.
package fit
