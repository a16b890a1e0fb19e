// Package controllers lists every reconciler of the server, in the order in which they start; each has a folder of its own.
// The request of a reconciler has a cluster in addition to namespace and name. One controller serves all clusters.
package controllers
