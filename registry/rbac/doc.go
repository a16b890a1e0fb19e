// Package rbac is the REST storage of rbac.authorization.k8s.io: roles, rolebindings, clusterroles and clusterrolebindings.
// Behavior follows Kubernetes.
//
// Except system:masters, users cannot grant more permissions than they have in the logical cluster. guarded (guard.go) wraps the
// storage for users and checks every create and update with the evaluator of package policy. The verbs escalate and bind are the
// exceptions, as in Kubernetes. Objects that count in the workspaces below (package inheritance) also take the verb inherit. The stores in Group.System are for the server itself and are not wrapped.
package rbac
