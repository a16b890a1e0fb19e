// Package dynamic is what admission webhooks (server/admission/webhook) and admission policies (server/admission/policy) have in common:
// which requests they are asked about, and what they see of the workspace of a request.
//
// About a resource that a workspace has bound, those of its provider are asked, and no others ([Workspace.Decides]). They see the namespaces and the
// RBAC of the consumer; parameters of a policy are in the workspace of the policy.
//
// The stock plugins read namespaces and ask the authorizer without a context, as if there were one cluster. So both are made for each
// request, and know its workspace: [Workspace.Of].
package dynamic
