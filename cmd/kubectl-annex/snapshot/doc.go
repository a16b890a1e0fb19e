// Package snapshot makes APIResourceSchemas from manifests of CustomResourceDefinitions, for `crd snapshot`. It asks no server, and the same
// manifests always give the same output.
package snapshot
