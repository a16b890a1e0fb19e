package workspace

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/mounts"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// mounted is what an object says about the Workspace that is mounted on it.
type mounted struct {
	// address is empty if the object has none that can be used.
	address string
	// reason and message say why the Workspace is not Ready; they are empty if it is.
	reason, message string
}

// mount copies to ws what the object that it is mounted on says.
func (r *reconciler) mount(ctx context.Context, ws *tenancyv1alpha1.Workspace) (reconcile.Result, error) {
	on := targetOf(ws)
	r.targets.Follow(client.KeyOf(ws), on)
	found, err := r.read(ctx, ws, on)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading what the workspace is mounted on: %w", err)
	}
	if err := r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) { found.show(ws) }); err != nil {
		return reconcile.Result{}, err
	}
	if found.reason != "" {
		// Of a kind that is not served yet there is no event.
		return reconcile.Result{RequeueAfter: r.patience(ws)}, nil
	}
	return reconcile.Result{}, nil
}

// show makes ws say the same.
func (m mounted) show(ws *tenancyv1alpha1.Workspace) {
	if m.address != "" {
		ws.Spec.URL = m.address
	}
	if m.reason != "" {
		conditionsv1alpha1.MarkFalse(ws, tenancyv1alpha1.MountConditionReady, m.reason, conditionsv1alpha1.ConditionSeverityError, "%s", m.message)
		setPhase(ws, corev1alpha1.LogicalClusterPhaseUnavailable)
		return
	}
	conditionsv1alpha1.MarkTrue(ws, tenancyv1alpha1.MountConditionReady)
	conditionsv1alpha1.MarkTrue(ws, corev1alpha1.WorkspaceInitialized)
	setPhase(ws, corev1alpha1.LogicalClusterPhaseReady)
}

// read returns what the object that ws is mounted on says.
func (r *reconciler) read(ctx context.Context, ws *tenancyv1alpha1.Workspace, on multicluster.Target) (mounted, error) {
	ref := ws.Spec.Mount.Reference
	missing := mounted{reason: tenancyv1alpha1.MountObjectNotFoundReason, message: fmt.Sprintf("%s %q of %s does not exist", ref.Kind, ref.Name, ref.APIVersion)}
	kind, err := r.Content.KindOf(ctx, on.Key.Cluster, schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind))
	if err != nil {
		return mounted{}, err
	}
	// Nothing that the server itself has leads elsewhere.
	if kind == nil || kind.Bucket == "" {
		missing.message = fmt.Sprintf("the workspace has no custom resource %s of %s", ref.Kind, ref.APIVersion)
		return missing, nil
	}
	if kind.Namespaced != (ref.Namespace != "") {
		missing.message = fmt.Sprintf("%s of %s has no namespace, but the reference has one", ref.Kind, ref.APIVersion)
		if kind.Namespaced {
			missing.message = fmt.Sprintf("%s of %s has a namespace, and the reference has none", ref.Kind, ref.APIVersion)
		}
		return missing, nil
	}
	head, err := r.Content.Find(ctx, *kind, on.Key, false)
	if err != nil || head == nil {
		return missing, err
	}
	obj, err := r.Content.Get(ctx, *head)
	switch {
	case apierrors.IsNotFound(err):
		return missing, nil
	case err != nil:
		return mounted{}, err
	}
	if obj.GetAnnotations()[tenancyv1alpha1.IsMountAnnotationKey] != "true" {
		return mounted{
			reason:  tenancyv1alpha1.MountAnnotationInvalidReason,
			message: fmt.Sprintf("%s %q does not have the annotation %s=true", ref.Kind, ref.Name, tenancyv1alpha1.IsMountAnnotationKey),
		}, nil
	}
	whole, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return mounted{}, fmt.Errorf("unexpected type %T", obj)
	}
	return said(whole), nil
}

// said returns what obj says in its status.
func said(obj *unstructured.Unstructured) mounted {
	notReady := func(address, format string, args ...any) mounted {
		return mounted{address: address, reason: tenancyv1alpha1.MountObjectNotReadyReason, message: fmt.Sprintf(obj.GetKind()+" %q: "+format, append([]any{obj.GetName()}, args...)...)}
	}
	address, _, err := unstructured.NestedString(obj.Object, "status", "URL")
	if err != nil || address == "" {
		return notReady("", "status.URL is missing")
	}
	if _, err := mounts.ParseTarget(address); err != nil {
		return notReady("", "status.URL: %v", err)
	}
	phase, _, err := unstructured.NestedString(obj.Object, "status", "phase")
	if err != nil || phase != string(corev1alpha1.LogicalClusterPhaseReady) {
		return notReady(address, "status.phase is %.64q, not Ready", phase)
	}
	if obj.GetDeletionTimestamp() != nil {
		return notReady(address, "it is being deleted")
	}
	return mounted{address: address}
}
