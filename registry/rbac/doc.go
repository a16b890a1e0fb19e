// Package rbac is the REST storage of rbac.authorization.k8s.io: roles, rolebindings, clusterroles and clusterrolebindings.
// Behavior follows Kubernetes.
//
// Nobody below system:masters gives away more than they hold themselves in the logical cluster: the storage that users reach
// is wrapped by guarded (guard.go), which asks the evaluator of package policy on every create and update. The verbs escalate
// and bind are the exceptions, as in Kubernetes. The stores in Group.System are for the server itself and not wrapped.
package rbac
