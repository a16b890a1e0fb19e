// Package metrics bounds the metrics of the stock libraries. These label their series with the group, version and resource of
// requests and objects. Every workspace defines resources, with names of its own, and a series stays in memory until the process
// ends. So only the names of the table of kinds become label values; those of custom resources are counted under one value, which
// the stock libraries call "unexpected".
//
// The library applies such a list to each label alone, before a series is made. What tenants can make in addition is therefore bounded
// by the combinations of the server's own names, whatever they define.
package metrics
