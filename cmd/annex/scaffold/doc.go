// Package scaffold writes the source code of an operator for `annex init operator`: API types, a reconciler on client/operator, tests on
// client/testing, manifests for the workspaces, a chart for the host cluster, and a Makefile.
//
//	project.go   what the user says about the operator, and every fault in it
//	write.go     renders templates/ into a directory
//
// The project builds and its tests pass as they are: the tutorial in test/e2e/install shows that. The generated files among the templates
// are those of controller-gen. Templates have [[ ]], because charts have {{ }}.
package scaffold
