// Package references contains an index of references between objects, across logical clusters: which APIBindings use an export, and
// which use a bound schema. Controllers fill it from their watches and reconciles, and use it to find the objects that a change affects.
//
// A result may contain deleted objects, because a restarted watch does not report deletions that it missed. So read an object before you
// rely on it. Objects with the same targets are kept together, and each object is named once for all indexes, so a reference needs about 100 bytes of memory.
package references
