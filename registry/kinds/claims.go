package kinds

import annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"

func workspaceClassRow() Row {
	return ours("v1alpha1", Row{
		Resource: "workspaceclasses", Singular: "workspaceclass", Object: &annexv1alpha1.WorkspaceClass{}, List: &annexv1alpha1.WorkspaceClassList{},
		Serving: InHostWorkspace, Status: NoStatus,
		Columns: columns{
			{Name: "Parent", Type: "string", JSONPath: ".spec.parent", Description: "Workspace that the workspaces of the class are created in"},
			{Name: "Reclaim Policy", Type: "string", JSONPath: ".spec.reclaimPolicy", Description: "What happens to a workspace whose claim was deleted"},
			{
				Name: "Default", Type: "string", JSONPath: `.metadata.annotations['workspaceclass\.annex\.dev/is-default-class']`,
				Description: "Whether claims that name no class have this one",
			},
			age,
		},
	})
}

func workspaceClaimRow() Row {
	return ours("v1alpha1", Row{
		Resource: "workspaceclaims", Singular: "workspaceclaim", ShortNames: []string{"wsc"}, Namespaced: true,
		Object: &annexv1alpha1.WorkspaceClaim{}, List: &annexv1alpha1.WorkspaceClaimList{},
		Serving: InHostWorkspace, HostNamespaces: true,
		Columns: columns{
			{Name: "Status", Type: "string", JSONPath: ".status.phase", Description: "Whether the claim has its workspace"},
			condition("Ready", "Ready", "Whether the workspace, and the Secret if one was asked for, can be used"),
			{Name: "Workspace", Type: "string", JSONPath: ".status.workspace.path", Description: "Workspace of the claim"},
			{Name: "Class", Type: "string", JSONPath: ".spec.workspaceClassName", Description: "WorkspaceClass of the claim"},
			age,
			{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="Ready")].reason`, Description: "Why it is not ready"},
			{Name: "URL", Type: "string", Priority: 1, JSONPath: ".status.url", Description: "Address of the workspace"},
		},
	})
}
