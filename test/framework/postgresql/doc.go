// Package postgresql runs a PostgreSQL server for tests, as a process of its own on a free port of the loopback interface. A test can kill it
// and start it again on the same data. It uses the programs in bin/postgresql, which `make bin/postgresql` puts there, or those of the machine.
//
// PostgreSQL refuses to run as root, so root runs it as another user.
//
// Only tests may import this package.
package postgresql
