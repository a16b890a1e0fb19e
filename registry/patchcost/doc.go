// Package patchcost refuses JSON patches (RFC 6902) that take too long to apply. Each operation that inserts or removes an item copies the
// whole list, so 10,000 of them, which is all that stock handlers take, need a minute for a list of a megabyte.
//
// What a patch costs depends on the object, so the last mile (server/serve) has the body of a request remembered, and storage
// (registry/storage/object) asks when it has read the object and before the stock handler applies the patch.
package patchcost
