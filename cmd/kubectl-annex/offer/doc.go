// Package offer finds what a provider's workspace offers of an API now: the schema that an APIExport has, or the CustomResourceDefinition
// if none has it.
package offer
