// Package offer finds what a provider's workspace offers of an API now: the schema that an APIExport has, or the CustomResourceDefinition
// if none has it. For an APIExport, it also finds who consumes it (consumers.go), and what a change would break there (report.go).
package offer
