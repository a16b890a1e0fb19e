// Package process runs a server as a child process of a test or a benchmark.
//
// The main type is [Process]: output goes to a file, of which errors quote the
// end; [Process.WaitReady] asks an HTTP path until it answers 200 or the child
// ends; [Process.Stop] ends the child in an orderly way, or else by force.
// [FreePort] finds a port for it.
//
// On Linux the child dies with its parent, even when the parent is killed: a
// test that runs into its timeout leaves nothing behind.
//
// Package host uses it for kube-apiserver, the load program for the server that
// it measures. Only code under test/ may import it.
package process
