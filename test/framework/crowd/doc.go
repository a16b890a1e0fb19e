// Package crowd is many clients of one server, each with a connection of its own and all at work at the same time: those that measure
// (test/load), and those that attack (test/hostile).
package crowd
