// Package policy holds, as Go values, the RBAC that is there from the start: [SystemAdmin] is effective in every logical
// cluster, [Root] in root alone. It is the default policy of Kubernetes as far as its resources are served here, and that of
// kcp (spec/04 §8); what belongs to home workspaces and to maximal permission policies comes with those.
package policy
