// Package authorization is the REST storage of authorization.k8s.io: reviews, which are answered on creation and stored
// nowhere. All of them are about the logical cluster of the request.
//
// A SubjectAccessReview asks the server's own authorizer, and so says that somebody is denied who may not enter the cluster
// at all. With [WithDeep] in the context and for system:masters alone it asks RBAC only, which is what the server does
// itself before it lets somebody bind or use what lies in another cluster.
//
// Providers act at the endpoints of their exports, where RBAC of the consumer's workspace is not asked. Explanations and lists of subjects tell of
// them by the APIBindings of the workspace (claims.go).
package authorization
