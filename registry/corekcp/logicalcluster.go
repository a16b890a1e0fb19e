package corekcp

import (
	"maps"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/core/validation"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
)

func logicalClusterKind(external func() string) *kinds.Kind[corev1alpha1.LogicalCluster, *corev1alpha1.LogicalCluster] {
	return &kinds.Kind[corev1alpha1.LogicalCluster, *corev1alpha1.LogicalCluster]{
		Prepare:              prepareLogicalCluster,
		ValidateCreate:       validation.ValidateLogicalCluster,
		ValidateUpdate:       validation.ValidateLogicalClusterUpdate,
		ValidateStatusUpdate: validation.ValidateLogicalClusterStatusUpdate,
		// A write by the controller would cost as much as the deletion itself.
		BeginDelete: lifecycle.BeginDelete,
		Render: func(lc *corev1alpha1.LogicalCluster) {
			if name := logicalcluster.From(lc); !name.Empty() {
				lc.Status.URL = external() + "/clusters/" + name.String()
			}
		},
	}
}

// prepareLogicalCluster sets what follows from the rest of a LogicalCluster.
func prepareLogicalCluster(lc, old *corev1alpha1.LogicalCluster) {
	lc.Status.URL = ""
	if old != nil {
		keepMadeFrom(lc, old.Annotations[corev1alpha1.MadeFromAnnotationKey])
	}
	lifecycle.Settle(lc, old)
}

// keepMadeFrom sets what a cluster is made from to what it was, since the storage depends on it.
func keepMadeFrom(lc *corev1alpha1.LogicalCluster, was string) {
	if lc.Annotations[corev1alpha1.MadeFromAnnotationKey] == was {
		return
	}
	annotations := maps.Clone(lc.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	if annotations[corev1alpha1.MadeFromAnnotationKey] = was; was == "" {
		delete(annotations, corev1alpha1.MadeFromAnnotationKey)
	}
	lc.Annotations = annotations
}
