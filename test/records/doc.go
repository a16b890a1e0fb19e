// Package records tests what operators keep of a server, with bin/annex as a process: the audit log, what is encrypted in etcd, and traces.
package records
