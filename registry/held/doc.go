// Package held shares values for as long as anybody holds one: it finds them by a key, and keeps none alive itself.
//
// Who asks a weak pointer for its value may have to wait near the end of a cycle of the garbage collector, until every thread has told it that
// there is no work left; a thread that the kernel does not let run takes tens of milliseconds. So nobody waits for that while he holds the lock
// of a [Map], and who looks up the same value for every request keeps those used last (registry/lru).
package held
