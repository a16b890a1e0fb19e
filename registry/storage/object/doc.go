// Package object is the half of a storage that concerns single objects: create, get, update and delete are the same for typed and
// for custom resources. Its [Storage] finds the real key, writes the cluster into the object, and asks the filter of the request.
//
// Only registry/storage and the packages below it import it.
package object
