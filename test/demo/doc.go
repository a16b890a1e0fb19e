// Demo shows Annex in a cluster, on one machine: make demo builds what it needs and runs it.
//
//	main.go       from the start to the end, also after a signal
//	cluster.go    a host with a node (packages host and kubelet of test/framework), and a kubeconfig with a context for each person
//	scene.sh      what is done before the user comes: the chart, an organization with two teams and a provider, an API and objects
//	try.sh        what the user is asked to type
//	shell.go      a shell for the user; without a terminal, the lines of try.sh are run instead, and one of them that fails is an error
//
// Everything is in a temporary directory and ends with the program. It needs Linux with user namespaces, and no root.
package main
