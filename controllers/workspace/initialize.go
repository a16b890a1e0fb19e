package workspace

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// initialize follows the LogicalCluster of a workspace that can be found by its path, but has unfinished initializers. It waits for events
// only, because initializers of others may never finish. For default bindings it continues to build.
func (r *reconciler) initialize(ctx context.Context, ws *tenancyv1alpha1.Workspace) (reconcile.Result, error) {
	key := client.Key{Cluster: logicalcluster.Name(ws.Spec.Cluster), Name: corev1alpha1.LogicalClusterName}
	lc, err := client.FindNow[corev1alpha1.LogicalCluster](ctx, r.Client, r.Live, logicalClusters, key)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case lc == nil:
		return r.disappeared(ctx, ws)
	case lc.DeletionTimestamp == nil && awaitsBindings(lc):
		return r.provision(ctx, ws)
	}
	var failed error
	err = r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) { failed = made(ws, lc) })
	return reconcile.Result{}, errors.Join(failed, err)
}
