package workspaceaccess

import (
	"context"
	"fmt"
	"time"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var clusters = corev1alpha1.Resource("logicalclusters")

// acceptedFor returns the cluster for which admission has checked the permissions of the author.
func acceptedFor(access *annexv1alpha1.WorkspaceAccess) logicalcluster.Name {
	return logicalcluster.Name(access.Annotations[annexv1alpha1.WorkspaceAccessClusterAnnotationKey])
}

// target returns 0 if credentials can be made for the workspace. If not, it sets the conditions and returns when to look again. What was made in
// another workspace than the one that the path leads to now is deleted.
func (r *reconciler) target(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess, at place) (time.Duration, error) {
	accepted, path := acceptedFor(access), access.Spec.Workspace.Path
	if before := logicalcluster.Name(access.Status.ClusterName); before != "" && before != accepted {
		if err := r.revoke(ctx, before, access); err != nil {
			return 0, err
		}
		access.Status.ServiceAccount = nil
	}
	found, ok, err := r.Resolver.Resolve(ctx, logicalcluster.Path(path))
	switch {
	case err != nil:
		return 0, fmt.Errorf("finding the workspace of WorkspaceAccess %s: %w", key, err)
	case ok && found == accepted && !found.IsSystem():
		access.Status.ClusterName = accepted.String()
		return r.ready(ctx, access, accepted)
	}
	reason, message := annexv1alpha1.WorkspaceNotFoundReason, fmt.Sprintf("workspace %s does not exist", path)
	if ok {
		reason, message = annexv1alpha1.WorkspaceChangedReason, fmt.Sprintf("the path %s now leads to another workspace (logical cluster %s) than the one that this access was "+
			"accepted for. Somebody else may own it. To get access, which requires permissions there, create the WorkspaceAccess again", path, found)
	}
	// Once is enough: what was made is looked for past the caches.
	if conditionsv1alpha1.GetReason(access, annexv1alpha1.WorkspaceValid) != reason || access.Status.ObservedGeneration != access.Generation {
		if err := r.revoke(ctx, accepted, access); err != nil {
			return 0, err
		}
		if err := r.withdraw(ctx, access, at); err != nil {
			return 0, err
		}
	}
	failed(access, annexv1alpha1.WorkspaceValid, reason, "%s", message)
	conditionsv1alpha1.Delete(access, annexv1alpha1.AccessGranted)
	access.Status.ClusterName, access.Status.ServiceAccount = "", nil
	return r.later(access), nil
}

// later returns when to look at the workspace again: the longer it has been as it is, the later. So nobody keeps the controller busy with
// workspaces that do not become ready.
func (r *reconciler) later(access *annexv1alpha1.WorkspaceAccess) time.Duration {
	since := time.Duration(0)
	if c := conditionsv1alpha1.Get(access, annexv1alpha1.WorkspaceValid); c != nil {
		since = r.Clock.Since(c.LastTransitionTime.Time)
	}
	return min(max(since, soon), latest)
}

// ready returns 0 if the workspace is initialized and stays. Until then, nothing that was made changes.
func (r *reconciler) ready(ctx context.Context, access *annexv1alpha1.WorkspaceAccess, cluster logicalcluster.Name) (time.Duration, error) {
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, clusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	switch {
	case err != nil:
		return 0, err
	case lc != nil && lc.DeletionTimestamp == nil && lc.Status.Phase == corev1alpha1.LogicalClusterPhaseReady:
		conditionsv1alpha1.MarkTrue(access, annexv1alpha1.WorkspaceValid)
		return 0, nil
	}
	phase := "unknown"
	switch {
	case lc != nil && lc.DeletionTimestamp != nil:
		phase = "Terminating"
	case lc != nil:
		phase = string(lc.Status.Phase)
	}
	conditionsv1alpha1.MarkFalse(access, annexv1alpha1.WorkspaceValid, annexv1alpha1.WorkspaceNotReadyReason, conditionsv1alpha1.ConditionSeverityInfo,
		"workspace %s is not ready: its phase is %s", access.Spec.Workspace.Path, phase)
	return r.later(access), nil
}
