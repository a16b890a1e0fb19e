package logicalcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

const (
	// quiet is how long a deletion may take before its obstacles are written to the status. Most deletions take less, and a write is
	// expensive.
	quiet = 2 * time.Second
	// soonest and latest limit the time between two checks of a cluster that is not empty.
	soonest = 100 * time.Millisecond
	latest  = 10 * time.Second
)

// finalize deletes the content of the cluster as far as possible.
func (r *reconciler) finalize(ctx context.Context, key client.Key, lc *corev1alpha1.LogicalCluster) (reconcile.Result, error) {
	if !slices.Contains(lc.Finalizers, corev1alpha1.LogicalClusterDeletionFinalizer) {
		return reconcile.Result{}, nil
	}
	if err := r.deleteOwner(ctx, lc); err != nil {
		return reconcile.Result{}, err
	}
	lc, err := r.update(ctx, lc, func(lc *corev1alpha1.LogicalCluster) {
		lc.Status.Phase = lifecycle.PhaseOfDeletion(lc.Status.Terminators)
	})
	if err != nil || len(lc.Status.Terminators) > 0 {
		return reconcile.Result{}, err // the last terminator that removes itself causes an event
	}
	others := slices.DeleteFunc(slices.Clone(lc.Finalizers), func(f string) bool { return f == corev1alpha1.LogicalClusterDeletionFinalizer })
	remaining, err := r.empty(ctx, key, len(others) > 0)
	if err != nil {
		_, updateErr := r.update(ctx, lc, func(lc *corev1alpha1.LogicalCluster) {
			conditionsv1alpha1.MarkFalse(lc, corev1alpha1.WorkspaceContentDeleted, corev1alpha1.ContentDeletionFailedReason,
				conditionsv1alpha1.ConditionSeverityError, "%s", err)
		})
		return reconcile.Result{}, errors.Join(fmt.Errorf("deleting the content of %s: %w", key.Cluster, err), updateErr)
	}
	if remaining.Empty() && len(others) > 0 {
		// The sweep, which deletes the LogicalCluster as well, respects no finalizer.
		remaining.Add(logicalClusters, others)
	}
	if !remaining.Empty() {
		return r.wait(ctx, lc, remaining)
	}
	if _, err := r.Content.Purge(ctx, key.Cluster); err != nil {
		return reconcile.Result{}, fmt.Errorf("sweeping the keys of %s: %w", key.Cluster, err)
	}
	return reconcile.Result{}, nil
}

// deleteOwner deletes the Workspace of lc, which is useless without lc.
func (r *reconciler) deleteOwner(ctx context.Context, lc *corev1alpha1.LogicalCluster) error {
	owner := lc.Spec.Owner
	if owner == nil || owner.Resource != workspaces.Resource || owner.APIVersion != tenancyv1alpha1.SchemeGroupVersion.String() {
		return nil
	}
	key := client.Key{Cluster: logicalcluster.Name(owner.Cluster), Namespace: owner.Namespace, Name: owner.Name}
	ws, err := r.Client.Get(ctx, workspaces, key)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the owner %s: %w", key, err)
	}
	if ws.GetUID() != owner.UID || ws.GetDeletionTimestamp() != nil {
		return nil
	}
	uid := owner.UID
	err = r.Client.Delete(ctx, workspaces, key, &metav1.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the owner %s: %w", key, err)
	}
	return nil
}

// wait reports what remains, unless the deletion has just begun. The longer the deletion takes, the later the next check.
func (r *reconciler) wait(ctx context.Context, lc *corev1alpha1.LogicalCluster, remaining client.Remaining) (reconcile.Result, error) {
	age := r.Clock.Since(lc.DeletionTimestamp.Time)
	if age >= quiet {
		_, err := r.update(ctx, lc, func(lc *corev1alpha1.LogicalCluster) {
			conditionsv1alpha1.MarkFalse(lc, corev1alpha1.WorkspaceContentDeleted, corev1alpha1.SomeResourcesRemainReason,
				conditionsv1alpha1.ConditionSeverityInfo, "%s", remaining.Message())
		})
		if err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{RequeueAfter: min(max(age/4, soonest), latest)}, nil
}

// update writes the copy of lc that change was applied to, if that changes anything, and returns the stored object.
// It is not an error if the LogicalCluster was deleted in the meantime.
func (r *reconciler) update(ctx context.Context, lc *corev1alpha1.LogicalCluster, change func(*corev1alpha1.LogicalCluster)) (*corev1alpha1.LogicalCluster, error) {
	updated := lc.DeepCopy()
	change(updated)
	if apiequality.Semantic.DeepEqual(lc, updated) {
		return lc, nil
	}
	if err := lifecycle.CheckCluster(updated, lc); err != nil {
		return lc, fmt.Errorf("updating the LogicalCluster: %w", err)
	}
	stored, err := r.Client.Update(ctx, logicalClusters, logicalcluster.From(lc), updated)
	if apierrors.IsNotFound(err) {
		return updated, nil
	}
	if err != nil {
		return lc, fmt.Errorf("updating the LogicalCluster: %w", err)
	}
	if typed, ok := stored.(*corev1alpha1.LogicalCluster); ok {
		return typed, nil
	}
	return lc, fmt.Errorf("updating the LogicalCluster: got back a %T", stored)
}
