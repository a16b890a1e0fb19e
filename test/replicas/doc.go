// Package replicas runs three servers on an etcd of three members, all of them processes, and takes them away one after the
// other: the leader, a member of etcd, every server in turn, and a member that is cut off from the others. Meanwhile it writes,
// and counts what was tried, acknowledged and found. The servers are bin/annex-race, so that a data race fails the tests, too.
//
//	world_test.go      the processes, which all tests share
//	etcd_test.go       the members of etcd; proxy_test.go is the network between them
//	load_test.go       writers that take turns among the servers
//	consistency_test.go  what one server has acknowledged, the others know; a watch moves from one to another
//	faults_test.go     what is taken away
//	quota_test.go      many writers fill a quota
//	rolling_test.go    servers restarted one after the other, behind a service; with -program annex -workspaces N it measures
//	service_test.go    sends each new connection to a server that is ready
//	caller_test.go     its clients, with a ledger each; makers_test.go makes workspaces
//	measurements_test.go  how long they waited, before, during and after
package replicas
