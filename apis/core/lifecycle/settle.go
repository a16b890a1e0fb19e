package lifecycle

import (
	"slices"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// Settle sets what follows from the rest of a logical cluster that is written, whoever writes it: the phase, and what the metadata repeat. old
// is the stored one, nil if there is none. Maps and slices that lc may share with others are replaced.
func Settle(lc, old *corev1alpha1.LogicalCluster) {
	if lc.Status.Phase == "" {
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling
	}
	if lc.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling && isNew(old) {
		begin(lc)
	}
	switch {
	case lc.DeletionTimestamp != nil:
		BeginDelete(lc)
	case lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing && old != nil && len(old.Status.Initializers) > 0 && len(lc.Status.Initializers) == 0:
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	}
	explain(lc)
	hold(lc, old)
	lc.Labels = Labels(lc.Labels, lc.Status.Phase, lc.Status.Initializers, lc.Status.Terminators)
}

// isNew reports whether a logical cluster has not been scheduled yet. Until then, an empty status.initializers does not mean that all of them
// have finished.
func isNew(old *corev1alpha1.LogicalCluster) bool {
	return old == nil || old.Status.Phase == "" || old.Status.Phase == corev1alpha1.LogicalClusterPhaseScheduling
}

// begin copies to the status who has to finish.
func begin(lc *corev1alpha1.LogicalCluster) {
	if lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing {
		lc.Status.Initializers = slices.Clone(lc.Spec.Initializers)
	}
	lc.Status.Terminators = slices.Clone(lc.Spec.Terminators)
}

// BeginDelete sets the phase of a logical cluster whose deletion has begun, and the label that repeats it.
func BeginDelete(lc *corev1alpha1.LogicalCluster) {
	lc.Status.Phase = PhaseOfDeletion(lc.Status.Terminators)
	lc.Labels = Labels(lc.Labels, lc.Status.Phase, lc.Status.Initializers, lc.Status.Terminators)
}

// PhaseOfDeletion returns the phase of what is being deleted and has these unfinished terminators.
func PhaseOfDeletion(terminators []corev1alpha1.LogicalClusterTerminator) corev1alpha1.LogicalClusterPhaseType {
	if len(terminators) > 0 {
		return corev1alpha1.LogicalClusterPhaseTerminating
	}
	return corev1alpha1.LogicalClusterPhaseDeleting
}

// explain says in a condition which initializers have not finished. A logical cluster that never had one has no such condition.
func explain(lc *corev1alpha1.LogicalCluster) {
	waits := lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing && len(lc.Status.Initializers) > 0
	explained := conditionsv1alpha1.Get(lc, corev1alpha1.WorkspaceInitialized) != nil
	if !waits && (!explained || lc.Status.Phase != corev1alpha1.LogicalClusterPhaseReady) {
		return
	}
	if waits {
		conditionsv1alpha1.MarkFalse(lc, corev1alpha1.WorkspaceInitialized, corev1alpha1.InitializerExistsReason,
			conditionsv1alpha1.ConditionSeverityInfo, "Initializers still exist: %v", lc.Status.Initializers)
		return
	}
	conditionsv1alpha1.MarkTrue(lc, corev1alpha1.WorkspaceInitialized)
}

// hold keeps the finalizer of terminators while there are any, whoever takes it off. None can be added once the deletion has begun.
func hold(lc, old *corev1alpha1.LogicalCluster) {
	const finalizer = corev1alpha1.LogicalClusterHasTerminatorsFinalizer
	has := slices.Contains(lc.Finalizers, finalizer)
	switch wanted := len(lc.Status.Terminators) > 0; {
	case wanted && !has && (lc.DeletionTimestamp == nil || old != nil && slices.Contains(old.Finalizers, finalizer)):
		lc.Finalizers = append(slices.Clone(lc.Finalizers), finalizer)
	case !wanted && has:
		lc.Finalizers = slices.DeleteFunc(slices.Clone(lc.Finalizers), func(f string) bool { return f == finalizer })
	}
}
