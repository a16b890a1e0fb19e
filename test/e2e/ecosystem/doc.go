// Package ecosystem runs what well-known projects ship for Kubernetes, unchanged.
//
// Their CustomResourceDefinitions (../../framework/projects) are installed by kubectl on a stock server and in a workspace, and through an
// export: definitions_test.go, export_test.go. testdata/objects has an object of each kind, testdata/broken.yaml objects that break rules,
// and mutations_test.go breaks every object in the ways that its schema forbids: objects_test.go. documents_test.go asks what clients learn
// of the kinds: discovery, OpenAPI, kubectl explain, tables. All answers are laid side by side by the comparer of ../../parity.
//
// controllers/ is a module that builds controllers of two projects; controllers_test.go runs them as processes against a workspace.
package ecosystem
