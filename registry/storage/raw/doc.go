// Package raw caches objects as the bytes that are stored, whatever their schemas. An [Object] is such bytes with a head parsed
// from them; a [Cache] is a watch cache of Objects: one of those that share all custom resources, or that of a typed
// resource. It knows which kinds a cluster has objects of (scopes.go).
//
// A cache never writes, and reading an object never fails: a damaged one says so and is kept.
//
// Only registry/storage and the packages below it import it.
package raw
