// Package validation checks which objects of annex.dev are valid, as far as the object alone tells.
package validation
