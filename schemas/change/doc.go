// Package change says what the change of a definition means for those who use its API: which changes break clients or objects, in the
// terms of Kubernetes' API conventions.
//
//	change.go    what is compared of a whole definition, and what a Change is
//	schema.go    what is compared of a field
//	allow.go     which breaking changes a provider allows
//	bounds.go    what limits a value, and in which direction it moved
//
// A change is breaking if an object that was valid may be refused or lose something, or if a client that reads or applies objects may no
// longer find what it relied on. What cannot be compared, such as two different lists of anyOf, counts as breaking. Descriptions, columns,
// short names and categories are not compared.
//
// It knows nothing of the objects that exist: a breaking change may concern none of them.
package change
