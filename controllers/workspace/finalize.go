package workspace

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// checkAgain is the interval of checks for a deleted LogicalCluster, because a restarted watch does not report deletions.
const checkAgain = 15 * time.Second

// finalize deletes the LogicalCluster of a workspace that is being deleted, and then removes the finalizer of ws.
func (r *reconciler) finalize(ctx context.Context, ws *tenancyv1alpha1.Workspace) (reconcile.Result, error) {
	if !slices.Contains(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer) {
		return reconcile.Result{}, nil
	}
	lc, err := r.findLogicalCluster(ctx, ws)
	if err != nil {
		return reconcile.Result{}, err
	}
	if lc == nil {
		return reconcile.Result{}, r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) {
			ws.Finalizers = slices.DeleteFunc(ws.Finalizers, func(f string) bool { return f == corev1alpha1.LogicalClusterFinalizer })
		})
	}
	// Its events usually trigger the next reconcile.
	again := reconcile.Result{RequeueAfter: checkAgain}
	if lc.DeletionTimestamp == nil {
		uid := lc.UID
		key := client.Key{Cluster: logicalcluster.From(lc), Name: lc.Name}
		if err := r.Client.Delete(ctx, logicalClusters, key, &metav1.Preconditions{UID: &uid}); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, fmt.Errorf("deleting the LogicalCluster of %s: %w", key.Cluster, err)
		}
		return again, nil
	}
	return again, r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) { mirror(ws, lc) })
}

// findLogicalCluster returns the LogicalCluster that was made for ws, or nil if there is none.
func (r *reconciler) findLogicalCluster(ctx context.Context, ws *tenancyv1alpha1.Workspace) (*corev1alpha1.LogicalCluster, error) {
	for attempt := range maxAttempts {
		name, last := clusterName(ws, attempt)
		lc, err := client.FindNow[corev1alpha1.LogicalCluster](ctx, r.Client, r.Live, logicalClusters, client.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
		if lc == nil || err != nil {
			return nil, err
		}
		if owns(ws, lc) {
			return lc, nil
		}
		if last {
			break
		}
	}
	return nil, nil
}
