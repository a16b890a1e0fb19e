// Package tracing traces requests, by the stock TracingConfiguration of component-base: the spans of the stock chain, those of etcd calls, and
// one of the look for the workspace, which happens before the stock chain (step 1 of docs/request.md).
//
// [New] returns the provider of all spans. It adds the logical cluster of the request to each of them. Who may continue a trace of their own is
// for the stock chain to say: members of system:masters and system:monitoring. What others send as their trace is only linked.
package tracing
