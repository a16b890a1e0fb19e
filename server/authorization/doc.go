// Package authorization decides whether an authenticated request may go on (within step 2 of docs/request.md, the
// stock chain).
//
// [New] returns the authorizer of clusters, and [Authorizer.WithVirtual] that of the whole server. It asks, in this order; the first decision counts:
//
//	who and where                                                    decision
//	no user                                                          deny
//	health paths                                                     allow
//	an address that resolved to nothing                              deny, for everybody
//	a constrained impersonation (KEP-5284)                           deny, impersonate.go
//	a special group, user or extra that one does not have oneself    deny (impersonate.go)
//	a virtual endpoint                                               its virtual workspace decides: virtual.go, projected.go
//	system:masters                                                   allow
//	all clusters at once                                             deny
//	no cluster                                                       some paths, by RBAC of root (process.go)
//	clusters of the server itself (system:*)                         deny
//	01-requiredgroups: groups that the LogicalCluster asks for       deny (content.go)
//	02-content: a cluster that is not there, is switched off, or
//	may not be entered                                               deny (content.go, inactive.go)
//	03-systemcrd: writes to the status of the server's own kinds     deny (systemcrd.go)
//	05-bootstrap, 05-local: RBAC of system:admin and of the cluster  allow, or no opinion
//	06-host: in the workspace that a host shows as its own, the
//	host, about its users; behind 01, 03 and the phase (host.go)     allow, or no opinion
//
// A user only ever learns "access denied", in the same words for a cluster that does not exist and one that may not be
// entered. Why it was so goes into audit annotations, request.auth.kcp.io/02-content-decision and the like. Errors deny.
//
// The numbers are those of kcp (spec/04 §6). 04-maxpermissionpolicy comes with what it belongs to.
package authorization
