// Package integration tests the assembled server over HTTP: bin/annex as a process of its own, with client-go or bare
// requests as clients. One server serves all tests; each makes workspaces of its own.
//
//	isolation_test.go   a seeded random walk in which no answer may hold what belongs to another cluster; FuzzURL for addresses
//	badinput_test.go    bad input of every kind, each with its code, reason and field
//	notyet_test.go      what docs/not-yet.md says is refused
//	encoding_test.go, verbs_test.go, read_test.go, watch_test.go, discovery_test.go
//	                    the Kubernetes API in a workspace
//	late_test.go        requests whose bodies come after what their objects would belong to is gone
//	interleaving_test.go  random interleavings of creates and deletes with such requests
//	metrics_test.go     series that tenants cannot make
//	access_test.go      who may enter, escalate, and write status
//
// Kill, restart and outage belong to package e2e.
package integration
