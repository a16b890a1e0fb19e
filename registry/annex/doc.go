// Package annex is the REST storage of annex.dev: hostbindings, workspaceclasses, workspaceclaims, apiexportrollouts, apichangereports,
// apistoragemigrations and workspaceaccesses, with their status. Which workspace serves the first three, the host workspace alone, is the router's affair. Every
// workspace serves the others, and the reviews accessexplanations and whocanreviews, which package authorization answers.
package annex
