// Package lifecycle is the two virtual workspaces in which initializers and terminators work:
//
//	/services/initializingworkspaces/<cluster>:<type>/clusters/{*|<cluster>}/...   what the initializer of a WorkspaceType has not finished
//	/services/terminatingworkspaces/<cluster>:<type>/clusters/{*|<cluster>}/...    the same for its terminator
//
// Through a host cluster, /apis/tenancy.kcp.io/v1alpha1/workspacetypes/<path>:<type>/proxy/<initializingworkspaces|terminatingworkspaces>/clusters/...
// is the same endpoint.
//
// They differ in what a stage says (stage.go). Each shows LogicalClusters that wait for the type, in all clusters or in one, and lets its
// controllers into the content of these clusters. What keeps them from more, in this order:
//
//	authorize.go   the caller needs the verb initialize or terminate on the WorkspaceType, in the type's cluster
//	serve.go       of LogicalClusters, only those show that wait for the type: a filter by the labels that apis/core/lifecycle derives from
//	               the status, which the watch cache selects by. So no other LogicalCluster is decoded or remembered
//	serve.go       a write of the status can only remove the caller's own entry: server/admission/logicalcluster checks it
//	enter.go       a request for anything else enters a cluster only while it waits for the type
//	authorize.go   inside, the rules of the type decide, or, if it has none, the RBAC of the cluster about its creator. Statuses that
//	               only the server writes are closed in both cases
//
// If the type has rules, the caller acts under its own name. Otherwise it acts as the creator of the workspace, confined to that workspace:
// the type could be of somebody whom the creator trusts with the workspace, but with nothing else.
//
// The groups system:kcp:initializer:<id> and system:kcp:terminator:<id> have no effect here, and nobody is put into them: what lets a request
// in is in its context, which no client can write.
package lifecycle
