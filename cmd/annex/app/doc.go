// Package app wires the server: flags become [Options], complete and valid options become a [Server], and a server runs.
//
//	options.go       the flags, their defaults, and every fault in them
//	config.go        the objects that flags configure: listener, certificates, store, authentication
//	serving.go       the serving certificate, and the places that its CA is written to
//	host.go          the cluster that the server is installed into, if any
//	registration.go  the registration of APIs there
//	access.go        the tokens of WorkspaceAccesses
//	serve.go         the assembly of the parts, from start to stop
//	check.go         annex check
//	checkdata.go     annex check data
//	checketcd.go     annex check etcd
//	kubeconfig.go    annex kubeconfig
//	sync.go          annex sync
//	init.go          annex init
//	command.go       the commands of the binary
//
// It is the only package that imports both server and controllers. It is separate from main so that tests can run the server in
// their process.
package app
