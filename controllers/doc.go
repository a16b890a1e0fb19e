// Package controllers lists every reconciler of the server, in the order in which they start; each has a folder of its own.
// A reconciler's request is a cluster beside namespace and name, and one controller serves all clusters.
package controllers
