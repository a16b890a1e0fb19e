package tenancy

import (
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/validation"
	"github.com/annex-dev/annex/registry/kinds"
)

func workspaceTypeKind() *kinds.Kind[tenancyv1alpha1.WorkspaceType, *tenancyv1alpha1.WorkspaceType] {
	return &kinds.Kind[tenancyv1alpha1.WorkspaceType, *tenancyv1alpha1.WorkspaceType]{
		ValidateCreate:       validation.ValidateWorkspaceType,
		ValidateUpdate:       validation.ValidateWorkspaceTypeUpdate,
		ValidateStatusUpdate: validation.ValidateWorkspaceTypeStatusUpdate,
	}
}
