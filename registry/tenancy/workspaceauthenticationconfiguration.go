package tenancy

import (
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/validation"
	"github.com/annex-dev/annex/registry/kinds"
)

func workspaceAuthenticationConfigurationKind() *kinds.Kind[tenancyv1alpha1.WorkspaceAuthenticationConfiguration, *tenancyv1alpha1.WorkspaceAuthenticationConfiguration] {
	return &kinds.Kind[tenancyv1alpha1.WorkspaceAuthenticationConfiguration, *tenancyv1alpha1.WorkspaceAuthenticationConfiguration]{
		ValidateCreate: validation.ValidateWorkspaceAuthenticationConfiguration,
		ValidateUpdate: validation.ValidateWorkspaceAuthenticationConfigurationUpdate,
	}
}
