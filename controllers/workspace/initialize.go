package workspace

import (
	"context"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// slow is after what time an initializer that has not finished is told.
const slow = 5 * time.Minute

// initializerSlow is the reason of Events about initializers that have not finished.
const initializerSlow = "InitializerSlow"

// initialize follows the LogicalCluster of a workspace that can be found by its path, but has unfinished initializers. It waits for events,
// because initializers of others may never finish, and comes back once to say so. For default bindings it continues to build.
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
	if err = errors.Join(failed, err); err != nil || lc.DeletionTimestamp != nil || len(lc.Status.Initializers) == 0 {
		return reconcile.Result{}, err
	}
	if left := slow - r.Clock.Since(ws.CreationTimestamp.Time); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	r.tellSlow(ctx, ws, lc.Status.Initializers)
	return reconcile.Result{}, nil
}

// tellSlow tells the users of the parent which initializers a workspace waits for, and the owner of the type of the first one, whose turn it is,
// that some workspace does.
func (r *reconciler) tellSlow(ctx context.Context, ws *tenancyv1alpha1.Workspace, waiting []corev1alpha1.LogicalClusterInitializer) {
	names := make([]string, 0, len(waiting))
	for _, name := range waiting {
		names = append(names, string(name))
	}
	r.Tell(ws, tenancyv1alpha1.SchemeGroupVersion.WithKind("Workspace"), corev1.EventTypeWarning, initializerSlow,
		"the workspace is not Ready because these initializers have not finished: "+strings.Join(names, ", "))
	cluster, name, ok := strings.Cut(names[0], logicalcluster.Separator)
	if !ok || logicalcluster.Name(cluster).IsSystem() {
		return
	}
	key := client.Key{Cluster: logicalcluster.Name(cluster), Name: name}
	wt, err := client.Find[tenancyv1alpha1.WorkspaceType](ctx, r.Client, workspaceTypes, key)
	if err != nil || wt == nil {
		return // nobody is left to tell
	}
	r.Tell(wt, tenancyv1alpha1.SchemeGroupVersion.WithKind("WorkspaceType"), corev1.EventTypeWarning, initializerSlow,
		"a workspace has waited for the initializer of this type for more than "+slow.String()+": status.virtualWorkspaces says where to find it")
}
