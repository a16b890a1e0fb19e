package workspace

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

const (
	regionLabel = "region"
	// disappearedAfter is how long the LogicalCluster of a workspace may be missing before a condition reports it.
	disappearedAfter = time.Minute
)

// maintain copies the state of the LogicalCluster to ws, and restores the creator's ClusterRoleBinding.
func (r *reconciler) maintain(ctx context.Context, ws *tenancyv1alpha1.Workspace) (reconcile.Result, error) {
	name := logicalcluster.Name(ws.Spec.Cluster)
	lc, err := client.FindNow[corev1alpha1.LogicalCluster](ctx, r.Client, r.Live, logicalClusters, client.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
	if err != nil {
		return reconcile.Result{}, err
	}
	if lc == nil {
		return r.disappeared(ctx, ws)
	}
	if err := r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) { mirror(ws, lc) }); err != nil {
		return reconcile.Result{}, err
	}
	if lc.DeletionTimestamp != nil || !owns(ws, lc) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, r.ensureAdmin(ctx, ws, name)
}

// disappeared reports that the logical cluster is gone, after waiting some time for it.
func (r *reconciler) disappeared(ctx context.Context, ws *tenancyv1alpha1.Workspace) (reconcile.Result, error) {
	since := ws.CreationTimestamp.Time
	if c := conditionsv1alpha1.Get(ws, tenancyv1alpha1.WorkspaceScheduled); c != nil {
		since = c.LastTransitionTime.Time
	}
	if left := disappearedAfter - r.Clock.Since(since); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	return reconcile.Result{RequeueAfter: disappearedAfter}, r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) {
		conditionsv1alpha1.MarkFalse(ws, corev1alpha1.WorkspaceInitialized, corev1alpha1.WorkspaceDisappearedReason,
			conditionsv1alpha1.ConditionSeverityError, "the LogicalCluster of %s does not exist", ws.Spec.Cluster)
		setPhase(ws, corev1alpha1.LogicalClusterPhaseUnavailable)
	})
}

// mirror copies the status of lc to ws.
func mirror(ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster) {
	ws.Status.Initializers, ws.Status.Terminators = lc.Status.Initializers, lc.Status.Terminators
	if c := conditionsv1alpha1.Get(lc, corev1alpha1.WorkspaceInitialized); c != nil {
		conditionsv1alpha1.Set(ws, *c)
	}
	if c := conditionsv1alpha1.Get(lc, corev1alpha1.WorkspaceContentDeleted); c != nil {
		conditionsv1alpha1.Set(ws, *c)
	}
	if conditionsv1alpha1.GetReason(ws, corev1alpha1.WorkspaceInitialized) == corev1alpha1.WorkspaceDisappearedReason {
		conditionsv1alpha1.MarkTrue(ws, corev1alpha1.WorkspaceInitialized)
	}
	phase := lc.Status.Phase
	if phase == corev1alpha1.LogicalClusterPhaseReady && hasFault(ws) {
		phase = corev1alpha1.LogicalClusterPhaseUnavailable
	}
	setPhase(ws, phase)
}

// hasFault reports whether a condition about the workspace itself is False.
func hasFault(ws *tenancyv1alpha1.Workspace) bool {
	for _, c := range ws.Status.Conditions {
		if strings.HasPrefix(string(c.Type), "Workspace") && c.Status == corev1.ConditionFalse {
			return true
		}
	}
	return false
}

// ensureAdmin creates the ClusterRoleBinding of the creator if it does not exist.
func (r *reconciler) ensureAdmin(ctx context.Context, ws *tenancyv1alpha1.Workspace, name logicalcluster.Name) error {
	user, err := creator(ws)
	if err != nil || user == nil {
		return err
	}
	return r.ensureAdminOf(ctx, user.Username, name)
}

// ensureAdminOf creates the ClusterRoleBinding of username in a cluster if it does not exist.
func (r *reconciler) ensureAdminOf(ctx context.Context, username string, name logicalcluster.Name) error {
	found, err := r.find(ctx, clusterRoleBindings, client.Key{Cluster: name, Name: AdminBindingName})
	if err != nil || found != nil {
		return err
	}
	_, err = r.Client.Create(ctx, clusterRoleBindings, name, newAdminBinding(username))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating ClusterRoleBinding %s in %s: %w", AdminBindingName, name, err)
	}
	return nil
}

// setPhase sets the phase and its label.
func setPhase(ws *tenancyv1alpha1.Workspace, phase corev1alpha1.LogicalClusterPhaseType) {
	ws.Status.Phase = phase
	label(ws, tenancyv1alpha1.WorkspacePhaseLabel, string(phase))
}

// label sets a label of obj without changing a map that may be shared.
func label(obj metav1.Object, key, value string) {
	labels := maps.Clone(obj.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	obj.SetLabels(labels)
}

// same reports whether a and b are equal in what this controller writes.
func same(a, b *tenancyv1alpha1.Workspace) bool {
	return apiequality.Semantic.DeepEqual(a.ObjectMeta, b.ObjectMeta) &&
		apiequality.Semantic.DeepEqual(a.Spec, b.Spec) &&
		apiequality.Semantic.DeepEqual(a.Status, b.Status)
}
