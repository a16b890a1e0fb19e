// Package typed is what the stock store of a typed resource works on: single objects as in package object, lists and watches from
// a watch cache of decoded objects, narrowed to the cluster and to what the filter of the request shows.
//
// Only registry/storage imports it.
package typed
