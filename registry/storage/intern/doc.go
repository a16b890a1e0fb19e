// Package intern keeps once the small maps that thousands of objects in memory have alike. Its tables forget what was not used lately,
// and are bounded in bytes, as tenants choose what comes into them.
//
// Only registry/storage and the packages below it import it.
package intern
