// Package rollout is the pure logic of APIExportRollouts: to which wave a consumer belongs, whether its turn has come, and which schema a new
// consumer gets.
//
// A percentage selects consumers by a hash of the names of the APIExport and of the consumer's logical cluster. So it is the same consumers every
// time, a larger percentage includes a smaller one, and it is not the same tenants that are first for every APIExport.
//
// The package reads nothing and imports only API types. Anyone may import it.
package rollout
