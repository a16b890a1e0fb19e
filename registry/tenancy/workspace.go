package tenancy

import (
	"slices"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/validation"
	"github.com/annex-dev/annex/registry/kinds"
)

func workspaceKind(urls URLs) *kinds.Kind[tenancyv1alpha1.Workspace, *tenancyv1alpha1.Workspace] {
	return &kinds.Kind[tenancyv1alpha1.Workspace, *tenancyv1alpha1.Workspace]{
		Prepare:              prepareWorkspace,
		ValidateCreate:       validation.ValidateWorkspace,
		ValidateUpdate:       validation.ValidateWorkspaceUpdate,
		ValidateStatusUpdate: validation.ValidateWorkspaceStatusUpdate,
		// A write by the controller would cost as much as the deletion itself.
		BeginDelete: func(ws *tenancyv1alpha1.Workspace) {
			// Before it is placed, nobody knows its terminators. The controller finds its logical cluster if there is one.
			if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling {
				ws.Status.Phase = lifecycle.PhaseOfDeletion(ws.Status.Terminators)
			}
			labelStatus(ws)
		},
		Render: func(ws *tenancyv1alpha1.Workspace) {
			if ws.Spec.Cluster != "" {
				ws.Spec.URL = urls.Of(logicalcluster.From(ws), ws.Name)
			}
		},
	}
}

// prepareWorkspace sets what follows from the rest of a Workspace.
func prepareWorkspace(ws, old *tenancyv1alpha1.Workspace) {
	switch {
	case ws.Spec.Mount == nil:
		// The address is made up on read: what clients send back is what they read.
		ws.Spec.URL = ""
	case old != nil && ws.Spec.URL == "":
		// That of a target is stored. A client that leaves it out does not mean to remove it.
		ws.Spec.URL = old.Spec.URL
	}
	if ws.Status.Phase == "" {
		ws.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling
	}
	// Set here, and not by the controller, the finalizer costs no write of its own.
	if old == nil && !slices.Contains(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer) {
		ws.Finalizers = append(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer)
	}
	labelStatus(ws)
}

// labelStatus sets the labels that repeat the status. They are for selectors: nothing is decided by them.
func labelStatus(ws *tenancyv1alpha1.Workspace) {
	ws.Labels = lifecycle.Labels(ws.Labels, ws.Status.Phase, ws.Status.Initializers, ws.Status.Terminators)
}
