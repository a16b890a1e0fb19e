package annex

import (
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/annex/validation"
	"github.com/annex-dev/annex/registry/kinds"
)

func workspaceClassKind() *kinds.Kind[annexv1alpha1.WorkspaceClass, *annexv1alpha1.WorkspaceClass] {
	return &kinds.Kind[annexv1alpha1.WorkspaceClass, *annexv1alpha1.WorkspaceClass]{
		ValidateCreate: validation.ValidateWorkspaceClass,
		ValidateUpdate: validation.ValidateWorkspaceClassUpdate,
	}
}

// workspaceClaimKind returns the kind of claims. external returns the address of the server as users see it.
func workspaceClaimKind(external func() string) *kinds.Kind[annexv1alpha1.WorkspaceClaim, *annexv1alpha1.WorkspaceClaim] {
	return &kinds.Kind[annexv1alpha1.WorkspaceClaim, *annexv1alpha1.WorkspaceClaim]{
		Prepare:              prepareWorkspaceClaim,
		ValidateCreate:       validation.ValidateWorkspaceClaim,
		ValidateUpdate:       validation.ValidateWorkspaceClaimUpdate,
		ValidateStatusUpdate: validation.ValidateWorkspaceClaimStatusUpdate,
		Render: func(claim *annexv1alpha1.WorkspaceClaim) {
			if claim.Status.Phase == annexv1alpha1.WorkspaceClaimBound && claim.Status.Workspace != nil {
				claim.Status.URL = external() + "/clusters/" + claim.Status.Workspace.Path
			}
		},
	}
}

// prepareWorkspaceClaim sets the phase of a new claim. The address is made up on read, as that of a Workspace.
func prepareWorkspaceClaim(claim, _ *annexv1alpha1.WorkspaceClaim) {
	claim.Status.URL = ""
	if claim.Status.Phase == "" {
		claim.Status.Phase = annexv1alpha1.WorkspaceClaimPending
	}
}
