// Package chart tests charts/annex with bin/helm, without a cluster: the linter's word on every file of values in
// charts/annex/ci, what the chart renders from them (testdata/golden, rewritten by `go test ./test/chart -update`), that each
// object decodes strictly into its Go type, that pods keep to the restricted profile and give the server only flags that it
// has, what the schema refuses and in which words, and that the dashboard asks for metrics that the server exports.
//
// charts/annex-sync has tests of the same kinds in sync_test.go.
//
// What the charts do in a cluster is tested by test/e2e/install and test/e2e/sync.
package chart
