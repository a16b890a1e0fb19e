// Package snapshot reads manifests of CustomResourceDefinitions, also those of a folder or of a chart, and makes APIResourceSchemas from them, for
// `crd snapshot`. It asks no server, and the same manifests always give the same output.
package snapshot
