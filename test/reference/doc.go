// Package reference writes docs/reference/apis.md, which lists every API that a new workspace serves, as a running server says it.
// make generate writes the file and make verify compares it.
package reference
