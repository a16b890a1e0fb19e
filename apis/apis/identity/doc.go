// Package identity makes the hashes by which exported APIs and the bindings to them are told apart: the identity hash of an
// APIExport, which is also the bucket of its objects in storage, and the values of labels and names derived from exports.
// It is arithmetic only. Anyone may import it.
package identity
