// Package examples runs the operators in examples/ as processes, on a real server and with a real PostgreSQL: what their pages say must be true,
// also after a crash of any of them. test/e2e/install has one of them in a pod of a host.
package examples
