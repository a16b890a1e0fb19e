// Package path reads and changes fields of objects by paths such as spec.secretName, spec.sources[*].secret.name or
// metadata.annotations['example.com/owner']. [*] is every item of a list, or every value of a map. Nothing else of JSONPath is understood.
//
// The parts of `annex sync` use it; it knows nothing of them.
package path
