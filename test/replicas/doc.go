// Package replicas runs three servers on an etcd of three members, all of them processes, and takes them away one after the
// other: the leader, a member of etcd, every server in turn, and a member that is cut off from the others. Meanwhile it writes,
// and counts what was tried, acknowledged and found. The servers are bin/annex-race, so that a data race fails the tests, too.
//
//	world_test.go      the processes, which all tests share
//	etcd_test.go       the members of etcd; proxy_test.go is the network between them
//	load_test.go       writers that take turns among the servers
//	consistency_test.go  what one server has acknowledged, the others know; a watch moves from one to another
//	faults_test.go     what is taken away
package replicas
