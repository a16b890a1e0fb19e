// Package intern keeps once what thousands of objects in memory have alike: small maps ([Maps]), and in typed objects who owns
// which fields, and long values ([Objects]). Its tables forget what was not used lately, and are bounded in bytes, as tenants
// choose what comes into them.
//
// Only registry/storage and the packages below it import it.
package intern
