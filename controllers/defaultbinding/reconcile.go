package defaultbinding

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

const (
	// atOnce is the time until the second step of a change that takes two.
	atOnce = time.Millisecond
	// later is when a binding that was refused, for example by a limit, is tried again.
	later = time.Minute
)

// reconcile makes the default bindings of a workspace what its types say.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	defer r.queued.done(key)
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, key)
	if err != nil || lc == nil {
		return reconcile.Result{}, err
	}
	wanted, err := r.maintained(ctx, lc)
	if err != nil || len(wanted) == 0 {
		return reconcile.Result{}, err
	}
	var refused error
	var again reconcile.Result
	for _, w := range wanted {
		result, err := r.ensure(ctx, key.Cluster, w)
		switch {
		case err == nil:
			again.RequeueAfter = max(again.RequeueAfter, result.RequeueAfter)
		case apierrors.HasStatusCause(err, corev1alpha1.LogicalClusterTerminatingCause):
			return reconcile.Result{}, nil
		case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
			refused = errors.Join(refused, err)
		default:
			return reconcile.Result{}, err
		}
	}
	if again.RequeueAfter > 0 {
		return again, nil
	}
	if refused != nil {
		again.RequeueAfter = later
	}
	return again, r.conclude(ctx, lc, refused)
}

// ensure makes one default binding exist, with all claims accepted.
func (r *reconciler) ensure(ctx context.Context, cluster logicalcluster.Name, wanted typeresolution.DefaultBinding) (reconcile.Result, error) {
	binding := wanted.Binding(cluster)
	found, err := client.FindNow[apisv1alpha2.APIBinding](ctx, r.Client, r.Live, apiBindings, client.Key{Cluster: cluster, Name: binding.Name})
	if err != nil {
		return reconcile.Result{}, err
	}
	if found == nil {
		if err := r.accept(ctx, binding, wanted); err != nil {
			return reconcile.Result{}, err
		}
		_, err := r.Client.Create(ctx, apiBindings, cluster, binding)
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return reconcile.Result{}, fmt.Errorf("creating APIBinding %q in %s: %w", binding.Name, cluster, err)
		}
		return reconcile.Result{}, nil
	}
	if !differs(found) {
		return reconcile.Result{}, nil // its deletion leads here again
	}
	answers, done := claims.Step(found.Spec.PermissionClaims, claims.AcceptAll(found.Status.ExportPermissionClaims))
	updated := found.DeepCopy()
	updated.Spec.PermissionClaims = answers
	_, err = r.Client.Update(ctx, apiBindings, cluster, updated)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{RequeueAfter: atOnce}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("accepting the claims of APIBinding %q in %s: %w", binding.Name, cluster, err)
	case !done:
		return reconcile.Result{RequeueAfter: atOnce}, nil
	}
	return reconcile.Result{}, nil
}

// accept makes a new binding accept what its export claims. If the export is missing, its claims are accepted when it comes.
func (r *reconciler) accept(ctx context.Context, binding *apisv1alpha2.APIBinding, wanted typeresolution.DefaultBinding) error {
	provider := wanted.Cluster
	if provider.Empty() {
		var err error
		if provider, _, err = r.Resolver.Resolve(ctx, wanted.Path); err != nil || provider.Empty() {
			return err
		}
	}
	export, err := client.Find[apisv1alpha2.APIExport](ctx, r.Client, apiExports, client.Key{Cluster: provider, Name: wanted.Export})
	if err != nil || export == nil {
		return err
	}
	binding.Spec.PermissionClaims = claims.AcceptAll(export.Spec.PermissionClaims)
	return nil
}

// conclude says in a condition of the Workspace whether its default bindings are as they should be; of the LogicalCluster if there is no
// Workspace.
func (r *reconciler) conclude(ctx context.Context, lc *corev1alpha1.LogicalCluster, refused error) error {
	owner := lc.Spec.Owner
	if owner == nil {
		return update(ctx, r, logicalClusters, lc, refused)
	}
	if owner.Resource != workspaces.Resource || owner.APIVersion != tenancyv1alpha1.SchemeGroupVersion.String() {
		return nil
	}
	ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, r.Client, workspaces, client.Key{Cluster: logicalcluster.Name(owner.Cluster), Name: owner.Name})
	if err != nil || ws == nil || ws.UID != owner.UID {
		return err
	}
	return update(ctx, r, workspaces, ws, refused)
}
