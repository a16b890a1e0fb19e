// Package identity computes the hashes that distinguish exported APIs and their bindings: the identity hash of an
// APIExport, which is also the bucket of its objects in storage, and the values of labels and names derived from exports.
// It is arithmetic only. Anyone may import it.
package identity
