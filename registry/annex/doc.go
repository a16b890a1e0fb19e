// Package annex is the REST storage of annex.dev: hostbindings and apiexportrollouts with their status. Which workspace serves hostbindings,
// the host workspace alone, is the router's affair. Every workspace serves the reviews accessexplanations and whocanreviews, which package
// authorization answers.
package annex
