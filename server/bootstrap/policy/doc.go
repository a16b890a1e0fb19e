// Package policy contains the initial RBAC as Go values: [SystemAdmin] applies in every logical cluster, [Root] only in root. It is
// the default policy of Kubernetes for the resources that are served here, and the policy of kcp (spec/04 §8). The parts for home
// workspaces and for maximal permission policies are missing until these features are supported.
package policy
