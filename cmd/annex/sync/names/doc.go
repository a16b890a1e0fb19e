// Package names says what objects of consumers are called in the service cluster, and by which labels and annotations the agent knows what it
// has made.
//
//	names.go  namespaces and names
//	marks.go  labels and annotations
//
// Names follow from the agent, the logical cluster, the namespace and the name alone, so that nothing must be remembered. Wherever a name could
// be that of two objects, it has 80 bits of a hash. What is readable in it may be cut.
package names
