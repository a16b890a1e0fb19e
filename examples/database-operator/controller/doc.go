// Package controller makes a database in a PostgreSQL server for each Database of all consumers, and a Secret beside the Database with which
// programs log in.
//
//	reconcile.go  one Database: the order of the steps
//	decide.go     whether the password in the Secret stays, by what the Secret says
//	secret.go     the Secret: reading, checking whose it is, writing
//	delete.go     a Database that is being deleted
//	status.go     conditions and Events
//	setup.go      what is watched
//
// The operator may be killed between any two steps. What it has done is in PostgreSQL and in the Secret, nowhere else: writing the Secret is
// the one step that makes a new password count. Before it, the new password is that of the login that nobody uses; after it, the other login
// stays open for a while, for programs that have not read the Secret again.
package controller
