// Package host runs a real Kubernetes API server for a test: an embedded etcd
// and the binary bin/kube-apiserver, both on free ports of the loopback
// interface, with certificates made for this one server.
//
// It stands for the cluster that Annex is installed into. Tests use it to put
// Annex behind a real aggregator, and to compare an answer of Annex with the
// answer of Kubernetes; the load program uses it as the yardstick for speed.
//
//	test ─► Start ─► Run ─┬─ certificates.go        CAs, serving and client certificates, service-account key
//	                      ├─ etcd.go                embedded etcd, in this process
//	                      ├─ egress.go              WithPodNetwork: the way of kube-apiserver to Services and pods
//	                      ├─ apiserver.go           child process (package process), waits for /readyz
//	                      └─ controllermanager.go   WithControllerManager: child process, waits for its first work
//
// The main type is [Host]. [Start] is for tests and stops everything when the
// test ends; [Run] is for programs, which call [Host.Stop] themselves.
//
// What it promises: when Start or Run returns, /readyz has answered 200, the
// aggregation layer trusts a front-proxy certificate of its own, and the
// credentials of [Host.Config] belong to system:masters. Several hosts may run
// side by side.
//
// What it leaves out: without [WithControllerManager] a deleted namespace stays
// Terminating, nothing is garbage-collected, and no ServiceAccount is made; the
// admission plugin for those is off then, so that pods can be created
// nevertheless. With it both work as in a cluster, and a Deployment makes pods;
// package kubelet below runs them, on a host [WithPodNetwork].
//
// Where the binaries come from: $KUBEBUILDER_ASSETS when set, else bin/ of this
// repository, which `make bin/kube-apiserver bin/kube-controller-manager` fills. A missing binary is an
// error and never a skipped test, since a suite that skips looks like one that
// passes. Only tests and the load program may import this package.
package host
