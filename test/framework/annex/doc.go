// Package annex runs the server for a test as users do: bin/annex as a process of its own, with its data in a directory
// of the test, on a free port of the loopback interface. A test can kill and start it again on the same data.
//
// Only tests and the load program may import this package.
package annex
