package workspace

import (
	"context"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// HomeName is the name of the controller of home workspaces.
const HomeName = "home"

const homeWorkers = 2

// homeSpec returns the controller that completes home workspaces, and restores their administrators. Its keys are those of LogicalClusters.
func (r *reconciler) homeSpec() multicluster.Spec {
	return multicluster.Spec{
		Name:    HomeName,
		Workers: homeWorkers,
		Watches: []multicluster.Watch{
			{Resource: logicalClusters, Keys: r.keysOfHome},
			{Resource: apiBindings, Content: r.Content, HeadKeys: r.homeOfBinding, Listed: multicluster.OnlyChanges},
			{Resource: clusterRoleBindings, Content: r.Content, HeadKeys: r.homeOfAdmin, Listed: multicluster.OnlyChanges},
		},
		Reconcile: r.reconcileHome,
	}
}

// keysOfHome returns the key of a home workspace that is not complete. When the watch begins, its administrator may be gone as well.
func (r *reconciler) keysOfHome(ctx context.Context, event client.Event) ([]client.Key, error) {
	lc, ok := event.Object.(*corev1alpha1.LogicalCluster)
	if !ok || event.Type == client.Deleted || lc.DeletionTimestamp != nil || !isHome(lc) {
		return nil, nil
	}
	key := client.KeyOf(lc)
	if isInitializing(lc) {
		return []client.Key{key}, nil
	}
	if event.Type != client.Added {
		return nil, nil
	}
	admin, err := r.find(ctx, clusterRoleBindings, client.Key{Cluster: key.Cluster, Name: AdminBindingName})
	if err != nil || admin == nil {
		return []client.Key{key}, err
	}
	return nil, nil
}

func isInitializing(lc *corev1alpha1.LogicalCluster) bool {
	return lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing || lc.Status.Phase == corev1alpha1.LogicalClusterPhaseScheduling
}

// homeOfBinding returns the home workspace that waits for a binding.
func (r *reconciler) homeOfBinding(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type == client.Deleted {
		return nil, nil
	}
	return r.homeOf(ctx, event, isInitializing)
}

// homeOfAdmin returns the home workspace that lost its administrator.
func (r *reconciler) homeOfAdmin(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type != client.Deleted || event.Head.Name != AdminBindingName {
		return nil, nil
	}
	return r.homeOf(ctx, event, func(*corev1alpha1.LogicalCluster) bool { return true })
}

// homeOf returns the home workspace in which an event happened, if wanted is true for its LogicalCluster.
func (r *reconciler) homeOf(ctx context.Context, event client.HeadEvent, wanted func(*corev1alpha1.LogicalCluster) bool) ([]client.Key, error) {
	key := client.Key{Cluster: event.Head.Cluster, Name: corev1alpha1.LogicalClusterName}
	found, err := r.find(ctx, logicalClusters, key)
	if err != nil || found == nil || event.Type == client.Added && client.MadeTogether(*found, event.Head) {
		return nil, err
	}
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, key)
	if err != nil || lc == nil || lc.DeletionTimestamp != nil || !isHome(lc) || !wanted(lc) {
		return nil, err
	}
	return []client.Key{key}, nil
}

func (r *reconciler) reconcileHome(ctx context.Context, key client.Key) (reconcile.Result, error) {
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, key)
	switch {
	case err != nil || lc == nil || lc.DeletionTimestamp != nil || !isHome(lc):
		return reconcile.Result{}, err
	case isInitializing(lc):
		return r.completeHome(ctx, key.Cluster, lc)
	}
	return reconcile.Result{}, r.ensureAdminOf(ctx, lc.Spec.CreatedBy.Username, key.Cluster)
}

// completeHome creates what a home workspace lacks. When nothing has to be waited for, the workspace is Ready.
func (r *reconciler) completeHome(ctx context.Context, name logicalcluster.Name, lc *corev1alpha1.LogicalCluster) (reconcile.Result, error) {
	if !awaitsBindings(lc) {
		return reconcile.Result{}, nil // it is Ready when its initializers have finished
	}
	p, err := r.planHome(ctx, lc.Spec.CreatedBy)
	if err != nil {
		return reconcile.Result{}, err
	}
	bindings, _, err := r.bindings(ctx, name, p)
	if err != nil {
		return reconcile.Result{}, err
	}
	if lc.Annotations[corev1alpha1.MadeFromAnnotationKey] == "" {
		for _, c := range append(basics(p), bindings...) {
			_, err := r.Client.Create(ctx, c.Resource, name, c.Object)
			switch {
			case err == nil, apierrors.IsAlreadyExists(err):
			case apierrors.HasStatusCause(err, limits.ExceededCause), c.Resource == apiBindings && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)):
				refused := fmt.Errorf("creating %s %q: %w", c.Resource, c.Object.GetName(), err)
				return reconcile.Result{RequeueAfter: r.age(lc)}, r.homeWaits(ctx, name, lc, corev1alpha1.APIBindingErrorsReason, refused.Error())
			default:
				return reconcile.Result{}, fmt.Errorf("creating %s %q in %s: %w", c.Resource, c.Object.GetName(), name, err)
			}
		}
	}
	if waiting := r.unbound(ctx, name, bindings); waiting != "" {
		return reconcile.Result{RequeueAfter: r.age(lc)}, r.homeWaits(ctx, name, lc, corev1alpha1.WaitingOnAPIBindingsReason, fmt.Sprintf("APIBinding %q is not bound yet", waiting))
	}
	return reconcile.Result{}, r.updateHome(ctx, name, lc, func(lc *corev1alpha1.LogicalCluster) {
		lc.Status.Initializers = withoutBindings(lc.Status.Initializers)
		if lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady; len(lc.Status.Initializers) > 0 {
			lc.Status.Phase = corev1alpha1.LogicalClusterPhaseInitializing
		}
		if conditionsv1alpha1.Get(lc, corev1alpha1.APIBindingsInitialized) != nil {
			conditionsv1alpha1.MarkTrue(lc, corev1alpha1.APIBindingsInitialized)
		}
	})
}

// age returns the time until the next look at a home workspace that waits. The older it is, the longer the time.
func (r *reconciler) age(lc *corev1alpha1.LogicalCluster) time.Duration {
	return min(max(r.Clock.Since(lc.CreationTimestamp.Time)/4, soonest), latest)
}

// homeWaits says in a condition what a home workspace waits for.
func (r *reconciler) homeWaits(ctx context.Context, name logicalcluster.Name, lc *corev1alpha1.LogicalCluster, reason, message string) error {
	return r.updateHome(ctx, name, lc, func(lc *corev1alpha1.LogicalCluster) {
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseInitializing
		conditionsv1alpha1.MarkFalse(lc, corev1alpha1.APIBindingsInitialized, reason, conditionsv1alpha1.ConditionSeverityInfo, "%s", message)
	})
}

// updateHome writes the copy of lc that change was applied to, if that changes anything.
func (r *reconciler) updateHome(ctx context.Context, name logicalcluster.Name, lc *corev1alpha1.LogicalCluster, change func(*corev1alpha1.LogicalCluster)) error {
	updated := lc.DeepCopy()
	change(updated)
	if apiequality.Semantic.DeepEqual(lc, updated) {
		return nil
	}
	if _, err := r.Client.Update(ctx, logicalClusters, name, updated); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("updating the LogicalCluster of %s: %w", name, err)
	}
	return nil
}
