// Package naming says when two resources cannot be served side by side in one workspace: in one group, a resource name
// (plural, singular or short) must mean one resource, and a kind (or list kind) one type. It is logic only; who came
// first is for the caller to know. Anyone may import it.
package naming
