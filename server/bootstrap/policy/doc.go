// Package policy contains the initial RBAC as Go values: [SystemAdmin] applies in every logical cluster, [Root] only in root. It is
// the default policy of Kubernetes for the resources that are served here, and the policy of kcp (spec/04 §8). The part for home
// workspaces is missing until that feature is supported.
package policy
