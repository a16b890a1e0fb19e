package tenancy

import (
	"maps"
	"slices"

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
			ws.Status.Phase = corev1alpha1.LogicalClusterPhaseDeleting
			ws.Labels = withPhase(ws.Labels, ws.Status.Phase)
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
	// The address is made up on read: what clients send back is what they read.
	ws.Spec.URL = ""
	if ws.Status.Phase == "" {
		ws.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling
	}
	// Set here, and not by the controller, the finalizer costs no write of its own.
	if old == nil && !slices.Contains(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer) {
		ws.Finalizers = append(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer)
	}
	ws.Labels = withPhase(ws.Labels, ws.Status.Phase)
}

// withPhase returns labels with the label that repeats the phase; the map given is not changed.
func withPhase(labels map[string]string, phase corev1alpha1.LogicalClusterPhaseType) map[string]string {
	if labels[tenancyv1alpha1.WorkspacePhaseLabel] == string(phase) {
		return labels
	}
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[tenancyv1alpha1.WorkspacePhaseLabel] = string(phase)
	return labels
}
