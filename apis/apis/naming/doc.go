// Package naming checks whether two resources can be served together in one workspace: in one group, a resource name (plural,
// singular or short) must refer to one resource, and a kind (or list kind) to one type. It is logic only; the caller decides which
// resource came first. Anyone may import it.
package naming
