// Package projection says how an object of a consumer becomes an object of the service cluster, and how its status comes back.
//
//	definition.go  the CustomResourceDefinition that consumers see, and the plan for its objects
//	object.go      an object on its way to the service cluster
//	status.go      its status on the way back
//	mutation.go    the rules of the configuration
//
// Nothing of a consumer's metadata reaches the service cluster except the keys that the configuration lists. It is logic only.
package projection
