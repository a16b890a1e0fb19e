// Package dynamic is what admission webhooks (server/admission/webhook) and admission policies (server/admission/policy) have in common:
// which requests they are asked about, and what they see of the workspace of a request.
//
// The stock plugins read namespaces and ask the authorizer without a context, as if there were one cluster. So both are made for each
// request, and know its workspace: [Workspace.Of].
package dynamic
