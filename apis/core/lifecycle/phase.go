package lifecycle

import (
	"slices"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/machine"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

const (
	aCluster   = "a LogicalCluster"
	aWorkspace = "a Workspace"

	scheduling   = corev1alpha1.LogicalClusterPhaseScheduling
	initializing = corev1alpha1.LogicalClusterPhaseInitializing
	ready        = corev1alpha1.LogicalClusterPhaseReady
	unavailable  = corev1alpha1.LogicalClusterPhaseUnavailable
	inactive     = corev1alpha1.LogicalClusterPhaseInactive
	terminating  = corev1alpha1.LogicalClusterPhaseTerminating
	deleting     = corev1alpha1.LogicalClusterPhaseDeleting
)

// clusterSteps are the phases that may follow each phase of a LogicalCluster.
var clusterSteps = machine.Steps[corev1alpha1.LogicalClusterPhaseType]{
	scheduling:   {initializing, ready, terminating, deleting},
	initializing: {ready, terminating, deleting},
	ready:        {inactive, unavailable, terminating, deleting},
	inactive:     {ready, unavailable, terminating, deleting},
	unavailable:  {ready, inactive, terminating, deleting},
	terminating:  {deleting},
	deleting:     {},
}

// workspaceSteps are those of a Workspace, which shows the phase of its LogicalCluster and may miss some.
var workspaceSteps = machine.Steps[corev1alpha1.LogicalClusterPhaseType]{
	scheduling:   {initializing, ready, inactive, unavailable, terminating, deleting},
	initializing: {ready, inactive, unavailable, terminating, deleting},
	ready:        {inactive, unavailable, terminating, deleting},
	inactive:     {ready, unavailable, terminating, deleting},
	unavailable:  {initializing, ready, inactive, terminating, deleting},
	terminating:  {unavailable, deleting},
	deleting:     {unavailable},
}

// CheckCluster returns a *machine.Fault if the state machine of a LogicalCluster has no step from old to updated, whoever makes it.
func CheckCluster(updated, old *corev1alpha1.LogicalCluster) error {
	from, to := phaseOf(old.Status.Phase), phaseOf(updated.Status.Phase)
	if err := clusterSteps.Check(aCluster, from, to); err != nil {
		return err
	}
	if from != to && (to == ready || to == inactive) && len(updated.Status.Initializers) > 0 {
		return machine.Faultf(aCluster, from, "it cannot become %s before these initializers have finished: %v", to, updated.Status.Initializers)
	}
	if from == scheduling {
		return nil
	}
	if added := others(updated.Status.Initializers, old.Status.Initializers); len(added) > 0 {
		return machine.Faultf(aCluster, from, "no initializer can be added any more: %v", added)
	}
	if added := others(updated.Status.Terminators, old.Status.Terminators); len(added) > 0 {
		return machine.Faultf(aCluster, from, "no terminator can be added any more: %v", added)
	}
	return nil
}

// CheckWorkspace returns a *machine.Fault if the state machine of a Workspace has no step from old to updated, whoever makes it.
func CheckWorkspace(updated, old *tenancyv1alpha1.Workspace) error {
	from, to := phaseOf(old.Status.Phase), phaseOf(updated.Status.Phase)
	if err := workspaceSteps.Check(aWorkspace, from, to); err != nil {
		return err
	}
	if from != to && old.DeletionTimestamp != nil && to != terminating && to != deleting {
		return machine.Faultf(aWorkspace, from, "it cannot become %s, because it is being deleted", to)
	}
	return nil
}

// phaseOf returns a phase; Scheduling for none.
func phaseOf(phase corev1alpha1.LogicalClusterPhaseType) corev1alpha1.LogicalClusterPhaseType {
	if phase == "" {
		return scheduling
	}
	return phase
}

// others returns what is in updated and not in old.
func others[T comparable](updated, old []T) []T {
	return slices.DeleteFunc(slices.Clone(updated), func(item T) bool { return slices.Contains(old, item) })
}

// IsSwitchedOff reports whether an annotation of a logical cluster, in either spelling, makes it inactive.
func IsSwitchedOff(lc *corev1alpha1.LogicalCluster) bool {
	return lc.Annotations[corev1alpha1.LogicalClusterInactiveAnnotationKey] == "true" ||
		lc.Annotations[corev1alpha1.LegacyLogicalClusterInactiveAnnotationKey] == "true"
}
