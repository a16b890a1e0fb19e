// Package authorization decides whether an authenticated request is allowed, within step 2 of docs/request.md (the stock chain).
//
// [New] returns the authorizer of clusters, and [Authorizer.WithVirtual] the authorizer of the whole server. It has these steps, in
// this order. The first decision counts:
//
//	who and where                                                    decision
//	no user                                                          deny
//	an authenticated user who asks who they are                      allow, wherever
//	an address that resolved to nothing                              deny, for everybody
//	a constrained impersonation (KEP-5284)                           deny, impersonate.go
//	impersonating a special group, user or extra without having it   deny (impersonate.go)
//	a virtual endpoint                                               its virtual workspace decides: virtual.go, projected.go
//
// Then decide those in Config.Order (order.go), by default AlwaysAllowGroups, AlwaysAllowPaths, RBAC and Webhook:
//
//	AlwaysAllowGroups: system:masters                                allow
//	AlwaysAllowPaths: health paths                                   allow, health also at addresses that resolved to nothing
//	RBAC: all that follows                                           allow, deny, or no opinion
//	Webhook: a service of the operator, about requests for one
//	cluster; behind 01, 03, 04 and the phase (webhook.go)            allow, deny, or no opinion
//
// RBAC stands for these rules and steps:
//
//	all clusters at once                                             deny
//	no cluster                                                       some paths, by RBAC of root (process.go)
//	clusters of the server itself (system:*)                         deny
//	01-requiredgroups: required groups of the LogicalCluster         deny (content.go)
//	02-content: a cluster that does not exist, is inactive, or
//	may not be entered                                               deny (content.go, inactive.go)
//	03-systemcrd: writes to the status of the server's own kinds     deny (systemcrd.go)
//	04-maxpermissionpolicy: what the provider of a bound resource
//	does not let consumers do                                        deny (maximal.go)
//	05-bootstrap, 05-local: RBAC of system:admin and of the cluster  allow, or no opinion
//	05-inherited: RBAC of the clusters above, as far as it is
//	for the clusters below, too                                      allow, or no opinion
//	06-host: in the workspace that a host shows as its own, the
//	host, about its users; behind 01, 03, 04 and the phase (host.go) allow, or no opinion
//
// A user learns "access denied", and that the workspace does not exist or may not be entered, in the same words (explain.go). Only who may
// enter it learns that it is inactive. What each step decides is recorded in audit annotations, such as request.auth.kcp.io/02-content-decision, and what
// all decide together in request.auth.kcp.io/decision, with the reasons. Errors deny.
//
// The numbers are those of kcp (spec/04 §6). Step 04 is asked again when it is known what serves a request ([Authorizer.Again]), and by the
// virtual workspace of providers about what they claim ([Authorizer.MayClaim]).
package authorization
