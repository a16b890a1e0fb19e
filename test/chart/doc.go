// Package chart tests charts/annex with bin/helm, without a cluster: the linter's word on every file of values in
// charts/annex/ci, what the chart renders from them (testdata/golden, rewritten by `go test ./test/chart -update`), that each
// object decodes strictly into its Go type, that pods keep to the restricted profile and give the server only flags that it
// has, what the schema refuses and in which words, and that the dashboard asks for metrics that the server exports.
//
// What the chart does in a cluster is tested by test/e2e/install.
package chart
