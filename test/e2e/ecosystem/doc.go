// Package ecosystem runs what well-known projects ship for Kubernetes, unchanged.
//
// controllers/ is a module that builds controllers of two projects; controllers_test.go runs them as processes against a workspace.
package ecosystem
