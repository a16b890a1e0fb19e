// Package limits contains how much a workspace may store: which annotations and which default say so, and when a write exceeds it.
package limits
