package tenancy

import (
	corev1 "k8s.io/api/core/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/validation"
	"github.com/annex-dev/annex/registry/kinds"
)

func workspaceTypeKind(urls URLs) *kinds.Kind[tenancyv1alpha1.WorkspaceType, *tenancyv1alpha1.WorkspaceType] {
	return &kinds.Kind[tenancyv1alpha1.WorkspaceType, *tenancyv1alpha1.WorkspaceType]{
		Prepare: func(wt, _ *tenancyv1alpha1.WorkspaceType) {
			// All of it follows from the name and the address of the server, so nothing of it is stored.
			wt.Status = tenancyv1alpha1.WorkspaceTypeStatus{}
		},
		ValidateCreate:       validation.ValidateWorkspaceType,
		ValidateUpdate:       validation.ValidateWorkspaceTypeUpdate,
		ValidateStatusUpdate: validation.ValidateWorkspaceTypeStatusUpdate,
		Render: func(wt *tenancyv1alpha1.WorkspaceType) {
			if !logicalcluster.From(wt).Empty() {
				wt.Status = statusOf(wt, urls.Virtual())
			}
		},
	}
}

// statusOf returns the status of a type that is served at a virtual address, such as https://host:6443.
func statusOf(wt *tenancyv1alpha1.WorkspaceType, virtual string) tenancyv1alpha1.WorkspaceTypeStatus {
	services, id := virtual+"/services/", typeresolution.InitializerOf(wt)
	condition := func(of conditionsv1alpha1.ConditionType) conditionsv1alpha1.Condition {
		return conditionsv1alpha1.Condition{Type: of, Status: corev1.ConditionTrue, LastTransitionTime: wt.CreationTimestamp}
	}
	return tenancyv1alpha1.WorkspaceTypeStatus{
		Conditions: conditionsv1alpha1.Conditions{condition(conditionsv1alpha1.ReadyCondition), condition(tenancyv1alpha1.WorkspaceTypeVirtualWorkspaceURLsReady)},
		VirtualWorkspaces: []tenancyv1alpha1.VirtualWorkspace{
			{URL: services + tenancyv1alpha1.InitializingWorkspaces + "/" + id, Type: tenancyv1alpha1.VirtualWorkspaceTypeInitializing},
			{URL: services + tenancyv1alpha1.TerminatingWorkspaces + "/" + id, Type: tenancyv1alpha1.VirtualWorkspaceTypeTerminating},
		},
	}
}
