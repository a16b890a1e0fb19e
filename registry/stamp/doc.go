// Package stamp sets the annotation kcp.io/cluster on objects before they are validated.
//
// The workspace storage forces the annotation on everything that is stored. A dry run never gets that far, and neither do
// the objects that admission sees; so strategies stamp too, and no client ever sees or sets another value.
package stamp
