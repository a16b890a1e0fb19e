// Package validation checks the kinds of cache.kcp.io as far as one object tells. What depends on other objects is checked by
// server/admission/sharing, and what depends on what the workspace serves is in conditions.
package validation
