package workspaceclaim

import (
	"context"
	"fmt"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// fill gives claim, which the caller owns, its workspace and sets its status. It reports whether only events can change something.
func (r *reconciler) fill(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim) (done bool, err error) {
	defer conditionsv1alpha1.SetSummary(claim)
	ref, err := claiming.RefOf(claim)
	if err != nil {
		waits(claim, annexv1alpha1.NotPermittedReason, "%v", err)
		return true, nil
	}
	class, err := client.Find[annexv1alpha1.WorkspaceClass](ctx, r.Client, classes, client.Key{Cluster: logicalcluster.From(claim), Name: ref.Class})
	if err != nil {
		return false, err
	}
	var ws *tenancyv1alpha1.Workspace
	if bound := claim.Status.Workspace; bound != nil && bound.Cluster != "" {
		ws, err = r.keep(ctx, claim, ref)
	} else {
		ws, err = r.bind(ctx, claim, ref, class)
	}
	if err != nil {
		return false, err
	}
	if ws == nil {
		return claim.Status.Phase == annexv1alpha1.WorkspaceClaimLost, nil
	}
	if ws.Spec.Cluster == "" {
		waits(claim, annexv1alpha1.WorkspaceNotReadyReason, "the workspace is being created")
		return true, nil
	}
	claim.Status.Phase = annexv1alpha1.WorkspaceClaimBound
	claim.Status.Workspace.Cluster = ws.Spec.Cluster
	conditionsv1alpha1.MarkTrue(claim, annexv1alpha1.WorkspaceBound)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
		conditionsv1alpha1.MarkFalse(claim, annexv1alpha1.WorkspaceReady, annexv1alpha1.WorkspaceNotReadyReason, conditionsv1alpha1.ConditionSeverityInfo,
			"the workspace is in phase %s", ws.Status.Phase)
		return true, nil
	}
	conditionsv1alpha1.MarkTrue(claim, annexv1alpha1.WorkspaceReady)
	return r.secret(ctx, claim, class)
}

// waits says why a claim has no workspace yet.
func waits(claim *annexv1alpha1.WorkspaceClaim, reason, format string, args ...any) {
	claim.Status.Phase = annexv1alpha1.WorkspaceClaimPending
	conditionsv1alpha1.MarkFalse(claim, annexv1alpha1.WorkspaceBound, reason, conditionsv1alpha1.ConditionSeverityWarning, format, args...)
}

// keep returns the workspace of a claim that has one. If that is gone, the claim is lost, and keep returns nil.
func (r *reconciler) keep(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim, ref claiming.Ref) (*tenancyv1alpha1.Workspace, error) {
	if claim.Status.Phase == annexv1alpha1.WorkspaceClaimLost {
		return nil, nil
	}
	cluster := claim.Status.Workspace.Cluster
	key, found, err := r.workspaceOf(ctx, logicalcluster.Name(cluster))
	var ws *tenancyv1alpha1.Workspace
	if err == nil && found {
		ws, err = client.Find[tenancyv1alpha1.Workspace](ctx, r.Client, workspaces, key)
	}
	if err != nil {
		return nil, err
	}
	var why string
	switch {
	case ws == nil || ws.Spec.Cluster != cluster:
		why = "was deleted"
	case ws.DeletionTimestamp != nil:
		why = "is being deleted"
	default:
		if now, ok := refOn(ws); !ok || now != ref {
			why = "was given to another claim"
		}
	}
	if why != "" {
		claim.Status.Phase = annexv1alpha1.WorkspaceClaimLost
		for _, condition := range []conditionsv1alpha1.ConditionType{annexv1alpha1.WorkspaceReady, annexv1alpha1.SecretReady} {
			conditionsv1alpha1.Delete(claim, condition)
		}
		conditionsv1alpha1.MarkFalse(claim, annexv1alpha1.WorkspaceBound, annexv1alpha1.WorkspaceLostReason, conditionsv1alpha1.ConditionSeverityError,
			"workspace %s %s", claim.Status.Workspace.Path, why)
		return nil, r.withdraw(ctx, claim)
	}
	return r.takeBack(ctx, ws)
}

// bind returns the workspace for a claim that has none yet, and creates it if necessary. If that is not possible, it sets the condition and
// returns nil.
func (r *reconciler) bind(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim, ref claiming.Ref, class *annexv1alpha1.WorkspaceClass) (*tenancyv1alpha1.Workspace, error) {
	claim.Status.Workspace = nil
	if class == nil {
		waits(claim, annexv1alpha1.ClassNotFoundReason, "WorkspaceClass %q not found", ref.Class)
		return nil, nil
	}
	if err := claiming.Permits(class, claim); err != nil {
		waits(claim, annexv1alpha1.NotPermittedReason, "%v", err)
		return nil, nil
	}
	parent, err := r.parent(ctx, class)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		waits(claim, annexv1alpha1.ParentNotFoundReason, "workspace %s does not exist, or is not the one that WorkspaceClass %s was accepted for: "+
			"change the class, or create it again", class.Spec.Parent, class.Name)
		return nil, nil
	}
	key := client.Key{Cluster: logicalcluster.From(parent), Name: nameOf(claim, ref)}
	ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, r.Live, workspaces, key)
	if err != nil {
		return nil, err
	}
	path := pathOf(parent).Join(key.Name)
	switch {
	case ws == nil && claim.Spec.WorkspaceName != "":
		notHandedOver(claim, ref, path)
		return nil, nil
	case ws == nil:
		if ws, err = r.create(ctx, claim, ref, class, key.Cluster); err != nil || ws == nil {
			return nil, err
		}
	default:
		if owned := r.check(claim, ref, ws, path); !owned {
			return nil, nil
		}
		if ws, err = r.takeBack(ctx, ws); err != nil {
			return nil, err
		}
	}
	claim.Status.Workspace = &annexv1alpha1.ClaimedWorkspace{Path: path.String()}
	return ws, nil
}

// nameOf returns the name of the workspace for a claim.
func nameOf(claim *annexv1alpha1.WorkspaceClaim, ref claiming.Ref) string {
	if claim.Spec.WorkspaceName != "" {
		return claim.Spec.WorkspaceName
	}
	return ref.WorkspaceName()
}

// check reports whether ws, which exists, is the workspace of a claim. If not, it sets the condition. What was not created for the
// claim is never taken over.
func (r *reconciler) check(claim *annexv1alpha1.WorkspaceClaim, ref claiming.Ref, ws *tenancyv1alpha1.Workspace, path logicalcluster.Path) bool {
	switch now, ok := refOn(ws); {
	case ok && now == ref && ws.DeletionTimestamp != nil:
		waits(claim, annexv1alpha1.WorkspaceTerminatingReason, "workspace %s of an earlier claim is being deleted", path)
		return false
	case ok && now == ref:
	case ok && claim.Spec.WorkspaceName == "" && now.Namespace == ref.Namespace && now.NamespaceUID == ref.NamespaceUID && now.Name == ref.Name:
		waits(claim, annexv1alpha1.ConflictReason, "workspace %s was created for the claim of user %q. That user can create the claim again, or an administrator "+
			"of the server can hand the workspace over, with the annotation %s=%s", path, now.User, annexv1alpha1.ClaimRefAnnotationKey, ref)
		return false
	case claim.Spec.WorkspaceName != "":
		notHandedOver(claim, ref, path)
		return false
	default:
		waits(claim, annexv1alpha1.ConflictReason, "workspace %s was not created for this claim. An administrator of the server can hand it over, with the "+
			"annotation %s=%s", path, annexv1alpha1.ClaimRefAnnotationKey, ref)
		return false
	}
	// Only what was handed over can have another type: for all else, the class is part of the identity.
	if wanted, has := claim.Spec.Type, ws.Spec.Type; wanted != nil && has != nil && wanted.Name != has.Name {
		waits(claim, annexv1alpha1.ConflictReason, "workspace %s has type %s, not %s", path, has.Name, wanted.Name)
		return false
	}
	return true
}

// notHandedOver sets the condition of a claim that names a workspace which is not there, or not for it. It is the same for both: users of the host
// must not find out which workspaces there are.
func notHandedOver(claim *annexv1alpha1.WorkspaceClaim, ref claiming.Ref, path logicalcluster.Path) {
	waits(claim, annexv1alpha1.WorkspaceNotFoundReason, "no workspace %s was handed over to this claim. An administrator of the server can hand over one that exists, "+
		"with the annotation %s=%s", path, annexv1alpha1.ClaimRefAnnotationKey, ref)
}

// takeBack returns ws without the time of its deletion.
func (r *reconciler) takeBack(ctx context.Context, ws *tenancyv1alpha1.Workspace) (*tenancyv1alpha1.Workspace, error) {
	if _, kept := ws.Annotations[annexv1alpha1.DeleteAfterAnnotationKey]; !kept {
		return ws, nil
	}
	taken := ws.DeepCopy()
	taken.Annotations = maps.Clone(ws.Annotations)
	delete(taken.Annotations, annexv1alpha1.DeleteAfterAnnotationKey)
	// The update carries the resourceVersion, so that it fails if the reclaimer was faster.
	if _, err := r.Client.Update(ctx, workspaces, logicalcluster.From(ws), taken); err != nil {
		return nil, fmt.Errorf("taking back Workspace %s: %w", client.KeyOf(ws), err)
	}
	return taken, nil
}

// acceptedFor returns the clusters that a class was accepted for: that of the parent, and that of each type.
func acceptedFor(class *annexv1alpha1.WorkspaceClass) (parent logicalcluster.Name, types []logicalcluster.Name) {
	for i, name := range strings.Split(class.Annotations[annexv1alpha1.ClassClustersAnnotationKey], ",") {
		if i == 0 {
			parent = logicalcluster.Name(name)
			continue
		}
		types = append(types, logicalcluster.Name(name))
	}
	return parent, types
}

// parent returns the LogicalCluster of the parent of a class; nil if its path does not lead to the cluster that the class was accepted for.
func (r *reconciler) parent(ctx context.Context, class *annexv1alpha1.WorkspaceClass) (*corev1alpha1.LogicalCluster, error) {
	accepted, _ := acceptedFor(class)
	if accepted.Empty() {
		return nil, nil
	}
	found, ok, err := r.Resolver.Resolve(ctx, logicalcluster.Path(class.Spec.Parent))
	if err != nil {
		return nil, fmt.Errorf("finding workspace %s: %w", class.Spec.Parent, err)
	}
	if !ok || found != accepted {
		return nil, nil
	}
	return client.Find[corev1alpha1.LogicalCluster](ctx, r.Live, logicalClusters, client.Key{Cluster: found, Name: corev1alpha1.LogicalClusterName})
}

// pathOf returns the path of a logical cluster, or its name if it has none.
func pathOf(lc *corev1alpha1.LogicalCluster) logicalcluster.Path {
	if path := lc.Annotations[logicalcluster.PathAnnotationKey]; path != "" {
		return logicalcluster.Path(path)
	}
	return logicalcluster.From(lc).Path()
}

// refused sets the condition for an error of the server that no repetition mends by itself; false for any other error.
func refused(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim, err error) bool {
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
		return false
	}
	klog.FromContext(ctx).V(2).Info("The workspace of a claim was refused", "reason", err.Error())
	waits(claim, annexv1alpha1.WorkspaceRefusedReason, "%v", err)
	return true
}
