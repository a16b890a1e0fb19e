// Package install installs the chart as people do, with bin/helm and without values, on a real host: kube-apiserver and
// kube-controller-manager, with the kubelet stand-in of test/framework/host/kubelet that runs what the chart's pods say.
//
// TestMain installs once for all tests, in a namespace that enforces the restricted profile: `installed` is the host with Annex
// in it, and each test may take users, workspaces and namespaces of its own. A test that uninstalls or upgrades leaves behind
// what it found, since others come after it.
package install
