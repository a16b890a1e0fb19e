// Package resilience takes away what a server stands on - its process, its etcd - and counts what it leaves behind: nothing
// acknowledged is lost, nothing deleted stays, and a workspace costs what it may cost. It runs bin/annex.
//
//	crash_test.go     kill -9 in the middle of many writes, and with equal names in many workspaces
//	outage_test.go    an external etcd that stops and starts again; -outage says for how long
//	upgrade_test.go   objects that an earlier release has stored
//	start_test.go     an external etcd that is away at the start
//	elsewhere_test.go one of two etcds that is away
//	full_test.go      an etcd without room for more
//	growth_test.go    a tenant that writes more old revisions than etcd has room for
//	disk_test.go      a disk without room for more
//	rollout_test.go   kill -9 while a schema is rolled out to consumers, and while it is taken back
//	drain_test.go     a server that is told to stop, and its clients
//	deletion_test.go  keys that a deleted workspace leaves
//	cost_test.go      revisions of a workspace
//	resident_test.go  goroutines and metric series of many workspaces; and keys, if they are deleted
package resilience
