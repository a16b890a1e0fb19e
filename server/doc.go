// Package server puts the way of a request together; the numbers are those of docs/request.md:
//
//	client ─ TLS ─► 1 front door ─► 2 stock chain ─► 3 fairness ─► 4 router, or virtual workspace ─► 5 serve: the last mile
//	                frontdoor/      chain.go         fairness/     router/      virtual/<name>/       serve/
//	       ─► 6 REST storage ─► 7 workspace storage ─► 8 watch cache ─► etcd
//	          registry/...      registry/storage
//
// A server is built in layers. Each one is complete when it is made, and is made of those above it:
//
//	stores.go     what is stored, and how the server itself reads it
//	indexes.go    what is kept in memory of that: paths, RBAC, open watches
//	policies.go   who is let in, who may do what, admission, whose turn it is; what users and the server reach under these rules
//	endpoints.go  what is served where: the catalog, and the list of virtual workspaces
//	chain.go      the stock server, the last mile and the router, and the order of everything that a request passes
//
// In other files:
//
//	server.go    the five joined
//	config.go    what the server is given, and the stock server's configuration made from it
//	deadline.go  why work ends a little before its time limit
//	leave.go     how clients are sent to other servers before this one stops
//	version.go   the version of Kubernetes that clients are told
//	host.go      the cluster that the server is installed into, if any
//	hosting.go   what the workspace that the host shows as its own serves in addition
//	serving/     the certificate that is shown, and the CA bundle by which it is verified
//	hooks.go     what runs apart from requests, and what /readyz waits for
package server
