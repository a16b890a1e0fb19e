package logicalcluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Name is the name of the controller.
const Name = "logicalcluster"

const workers = 16

var (
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	workspaces      = tenancyv1alpha1.Resource("workspaces")
	workspaceTypes  = tenancyv1alpha1.Resource("workspacetypes")
	apiBindings     = apisv1alpha2.Resource("apibindings")
	namespaces      = corev1.Resource("namespaces")
	crds            = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}

	clusterRoles        = rbacv1.Resource("clusterroles")
	clusterRoleBindings = rbacv1.Resource("clusterrolebindings")
)

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	// Clock is the real clock if nil.
	Clock clock.PassiveClock
}

type reconciler struct {
	Config
	active active
}

// Specs returns the controllers of this package.
func Specs(c Config) []multicluster.Spec {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	r := &reconciler{Config: c}
	watches := []multicluster.Watch{{Resource: logicalClusters, Keys: unsettled}}
	// Watch resources with finalizers, so that their deletion triggers the next step without a wait.
	for _, held := range []schema.GroupResource{workspaces, namespaces, apiBindings, crds} {
		watches = append(watches, multicluster.Watch{Resource: held, Content: c.Content, HeadKeys: r.keysOfContent, Listed: multicluster.OnlyChanges})
	}
	return []multicluster.Spec{{Name: Name, Workers: workers, Watches: watches, Reconcile: r.reconcile}}
}

// unsettled returns the key of a cluster that is being deleted, or whose phase is not the one that its annotation asks for.
func unsettled(_ context.Context, event client.Event) ([]client.Key, error) {
	lc, ok := event.Object.(*corev1alpha1.LogicalCluster)
	if !ok || event.Type == client.Deleted || lc.DeletionTimestamp == nil && lc.Status.Phase == activePhase(lc) {
		return nil, nil
	}
	return []client.Key{client.KeyOf(lc)}, nil
}

// keysOfContent returns the cluster of a deleted object, if the cluster is being deleted and nobody is at work on it.
func (r *reconciler) keysOfContent(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type != client.Deleted {
		return nil, nil
	}
	key := client.Key{Cluster: event.Head.Cluster, Name: corev1alpha1.LogicalClusterName}
	if r.active.note(key.Cluster) {
		return nil, nil
	}
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, key)
	if err != nil || lc == nil || lc.DeletionTimestamp == nil {
		return nil, err
	}
	return []client.Key{key}, nil
}

func (r *reconciler) get(ctx context.Context, key client.Key) (*corev1alpha1.LogicalCluster, error) {
	obj, err := r.Client.Get(ctx, logicalClusters, key)
	if err != nil {
		return nil, err
	}
	lc, ok := obj.(*corev1alpha1.LogicalCluster)
	if !ok {
		return nil, fmt.Errorf("got a %T", obj)
	}
	return lc, nil
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	lc, err := r.get(ctx, key)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the LogicalCluster: %w", err)
	}
	var result reconcile.Result
	if lc.DeletionTimestamp != nil {
		r.active.begin(key.Cluster)
		result, err = r.finalize(ctx, key, lc)
		if noted := r.active.end(key.Cluster); noted && (result.RequeueAfter > 0 || err != nil) {
			if err != nil {
				// The wait after an error may be long, and the event is not queued. A look that fails again says so.
				klog.FromContext(ctx).V(2).Info("Looking again, because an object went while the deletion of a cluster failed", "reason", err.Error())
			}
			return reconcile.Result{RequeueAfter: atOnce}, nil
		}
	} else {
		_, err = r.update(ctx, lc, func(lc *corev1alpha1.LogicalCluster) { lc.Status.Phase = activePhase(lc) })
	}
	return result, err
}

// activePhase returns the phase according to the annotation that makes a cluster inactive.
func activePhase(lc *corev1alpha1.LogicalCluster) corev1alpha1.LogicalClusterPhaseType {
	off := lifecycle.IsSwitchedOff(lc)
	switch {
	case off && lc.Status.Phase == corev1alpha1.LogicalClusterPhaseReady:
		return corev1alpha1.LogicalClusterPhaseInactive
	case !off && lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInactive:
		return corev1alpha1.LogicalClusterPhaseReady
	}
	return lc.Status.Phase
}
