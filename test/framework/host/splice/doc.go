// Package splice joins two connections, for what stands between kube-apiserver
// and the pods of a test: the egress proxy of package host and the Services of
// package kubelet. Only code under test/ may import it.
package splice
