package workspaceclaim

import (
	"context"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// reclaim looks after one workspace that was created for a claim. If the claim is gone, reclaim notes when to delete the workspace, and deletes
// it then.
func (r *reconciler) reclaim(ctx context.Context, key client.Key) (reconcile.Result, error) {
	// What is decided here deletes data, so nothing comes from a cache.
	ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, r.Live, workspaces, key)
	if err != nil || ws == nil || ws.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	ref, ok := refOn(ws)
	if !ok {
		return reconcile.Result{}, nil
	}
	// With another host workspace than before, nobody knows whether the claim is still wanted.
	host, err := r.host(ctx)
	if err != nil || host != ref.Cluster {
		return reconcile.Result{}, err
	}
	used, err := r.used(ctx, host, ref, ws)
	if err != nil || used {
		return reconcile.Result{}, err
	}
	note, marked := ws.Annotations[annexv1alpha1.DeleteAfterAnnotationKey]
	if !marked {
		return reconcile.Result{}, r.mark(ctx, host, ref, ws)
	}
	if note == annexv1alpha1.DeleteNever {
		return reconcile.Result{}, nil
	}
	when, err := time.Parse(time.RFC3339, note)
	if err != nil {
		klog.FromContext(ctx).Info("A workspace without its claim is not deleted, because the time is not valid", "workspace", key, "time", note)
		return reconcile.Result{}, nil
	}
	if left := when.Sub(r.Clock.Now()); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	klog.FromContext(ctx).Info("Deleting a workspace without its claim", "workspace", key, "claim", ref.Namespace+"/"+ref.Name)
	err = r.Client.Delete(ctx, workspaces, key, &metav1.Preconditions{UID: &ws.UID, ResourceVersion: &ws.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("deleting Workspace %s, whose claim is gone: %w", key, err)
	}
	return reconcile.Result{}, nil
}

// used reports whether the claim of a workspace exists, and is this very claim.
func (r *reconciler) used(ctx context.Context, host logicalcluster.Name, ref claiming.Ref, ws *tenancyv1alpha1.Workspace) (bool, error) {
	claim, err := client.Find[annexv1alpha1.WorkspaceClaim](ctx, r.Live, claims, client.Key{Cluster: host, Namespace: ref.Namespace, Name: ref.Name})
	if err != nil || claim == nil {
		return false, err
	}
	now, err := claiming.RefOf(claim)
	if err != nil || now != ref {
		return false, nil //nolint:nilerr // a claim without a valid record has no workspace
	}
	// One that has lost its workspace, or has another one, does not hold this one.
	bound := claim.Status.Workspace
	return bound == nil || bound.Cluster == "" || bound.Cluster == ws.Spec.Cluster && claim.Status.Phase != annexv1alpha1.WorkspaceClaimLost, nil
}

// mark notes on a workspace without a claim when to delete it. If the class is gone, nobody says that it may be deleted, so it is kept.
func (r *reconciler) mark(ctx context.Context, host logicalcluster.Name, ref claiming.Ref, ws *tenancyv1alpha1.Workspace) error {
	class, err := client.Find[annexv1alpha1.WorkspaceClass](ctx, r.Live, classes, client.Key{Cluster: host, Name: ref.Class})
	if err != nil {
		return err
	}
	note := annexv1alpha1.DeleteNever
	if class != nil && class.Spec.ReclaimPolicy == annexv1alpha1.WorkspaceReclaimDelete {
		grace := time.Duration(ptr.Deref(class.Spec.GracePeriodSeconds, annexv1alpha1.DefaultGracePeriodSeconds)) * time.Second
		note = r.Clock.Now().Add(grace).UTC().Format(time.RFC3339)
	}
	marked := ws.DeepCopy()
	marked.Annotations = maps.Clone(ws.Annotations)
	marked.Annotations[annexv1alpha1.DeleteAfterAnnotationKey] = note
	// The event of this write leads to the next step.
	if _, err := r.Client.Update(ctx, workspaces, logicalcluster.From(ws), marked); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("noting on Workspace %s when to delete it: %w", client.KeyOf(ws), err)
	}
	return nil
}
