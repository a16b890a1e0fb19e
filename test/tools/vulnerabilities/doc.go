// Vulnerabilities searches programs that are built for known vulnerabilities, with govulncheck and a database that is on this machine.
//
//	vulnerabilities -govulncheck bin/govulncheck -module golang.org/x/vulndb@VERSION [-db DIRECTORY|URL] bin/annex
//
// Without -db, the database is the Go module of that name, which holds it as it was at that version; if it cannot be had, the
// program says in one line that nothing was searched.
//
// It fails if a program may call vulnerable code of a module, which a newer version in go.mod mends. Vulnerable code of the
// standard library is told and no failure: another Go must build the program, and no change of the source does that. What is only
// linked and never called counts for nothing, as govulncheck itself has it.
package main
