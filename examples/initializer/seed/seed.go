package seed

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/operator"
)

// Component is the name of the operator, also as field manager.
const Component = "team-initializer"

// Reconciler prepares the workspaces that wait for the initializer of a type.
type Reconciler struct {
	Manager *operator.Manager
	// Type is the name of the WorkspaceType, in the workspace of the manager.
	Type     string
	Contents Contents
}

// Setup adds the controller to the manager.
func (r *Reconciler) Setup() error {
	return operator.ControllerManagedBy(r.Manager).For(&corev1alpha1.LogicalCluster{}).Complete(r)
}

// Reconcile implements operator.Reconciler. A request is for the LogicalCluster of one new workspace. Applying the same again changes nothing, so
// it does not matter after which step the process was killed.
func (r *Reconciler) Reconcile(ctx context.Context, request operator.Request) (reconcile.Result, error) {
	in, lc := r.Manager.In(request.ClusterName), &corev1alpha1.LogicalCluster{}
	if err := in.Get(ctx, request.NamespacedName, lc); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err) // it does not wait any more
	}
	for _, object := range r.Contents.objects() {
		if err := in.Apply(ctx, object, client.FieldOwner(Component), client.ForceOwnership); err != nil {
			return reconcile.Result{}, fmt.Errorf("preparing the workspace: %w", err)
		}
	}
	own, err := r.initializer(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	before := lc.DeepCopy()
	lc.Status.Initializers = slices.DeleteFunc(lc.Status.Initializers, func(i corev1alpha1.LogicalClusterInitializer) bool { return i == own })
	// Another initializer may have taken itself off meanwhile: then this is a conflict.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := in.Status().Patch(ctx, lc, patch); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("taking off the initializer: %w", err)
	}
	return reconcile.Result{}, nil
}

// initializer returns the name of the initializer: that of the type's logical cluster, and that of the type.
func (r *Reconciler) initializer(ctx context.Context) (corev1alpha1.LogicalClusterInitializer, error) {
	typ := &tenancyv1alpha1.WorkspaceType{}
	if err := r.Manager.GetAPIReader().Get(ctx, client.ObjectKey{Name: r.Type}, typ); err != nil {
		return "", fmt.Errorf("reading the WorkspaceType: %w", err)
	}
	return corev1alpha1.LogicalClusterInitializer(logicalcluster.From(typ).String() + ":" + typ.Name), nil
}
