// Package annex is the REST storage of annex.dev: hostbindings with their status. Which workspace serves them, the host
// workspace alone, is the router's affair. Every workspace serves the reviews accessexplanations and whocanreviews, which package
// authorization answers.
package annex
