// Package server puts the way of a request together. Read it top to bottom:
//
//	client ── TLS ─► front door ─► stock chain ─► router ─► REST storage ─► workspace storage ─► watch cache ─► etcd
//	                 frontdoor/    chain.go       router/   registry/...    registry/storage
//
//	config.go    what the server is given, and the stock server's configuration made from it
//	chain.go     the order of everything that a request passes
//	groups.go    the API groups that the process stores
//	server.go    the parts built and joined, in the order they need each other
//	deadline.go  why work ends a little before its time limit
//	version.go   the version of Kubernetes that clients are told
//	host.go      the cluster that the server is installed into, if any
//	hosting.go   what the workspace that it shows as its own serves beside
//	serving/     the certificate that is shown, and the CA bundle by which it is verified
//	hooks.go     what runs beside requests, and what /readyz waits for
package server
