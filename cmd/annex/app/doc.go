// Package app wires the server: flags become [Options], complete and valid options become a [Server], and a server runs.
//
//	options.go       the flags, their defaults, and every fault in them
//	config.go        what the flags stand for: listener, certificates, store, authentication
//	serving.go       the serving certificate, and who learns its CA
//	host.go          the cluster that the server is installed into, if any
//	registration.go  what is registered there
//	serve.go         the parts put together, and what happens from start to stop
//	check.go         annex check
//	kubeconfig.go    annex kubeconfig
//	command.go       the commands of the binary
//
// It is the only place that knows server and controllers both. It is a package of its own so that tests can run the server
// in their process.
package app
