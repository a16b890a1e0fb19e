// Package consumers tells providers how their consumers fare: it writes status.consumers of APIExports, and an Event when consumers cannot
// bind or follow.
//
// It keeps, for each APIBinding, which export the binding refers to and in what state it is. Bindings in the same state share it, so
// thousands of them take a map entry each. A change of a binding changes one entry. An export is written at most once per interval, however
// many bindings change, and only if the result differs.
//
// Other controllers ask it for the consumers of an export (of.go).
//
// Exports whose resources typed storage serves are left out. They are exports of root that every workspace binds.
package consumers
