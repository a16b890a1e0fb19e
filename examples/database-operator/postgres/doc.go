// Package postgres makes databases for tenants in one PostgreSQL server, 14 or later. It needs a role that may create databases and roles; no superuser.
//
// A tenant's database has three roles:
//
//	db_orders_k3jx…      owns the database and what is in it; nobody logs in as it
//	db_orders_k3jx…_a    logs in, and becomes the owner
//	db_orders_k3jx…_b    the same, with another password
//
// Two logins take turns, so that a password can be replaced while the previous one still works. [Server.Lock] comes first; what it returns does
// one step at a time, each of which can be repeated.
//
// PostgreSQL lets everybody connect to every database unless told otherwise, and shows all names to everybody. So a database opens only
// after it is closed to others, and each database that others could enter is an error (guard.go).
package postgres
