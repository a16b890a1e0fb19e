package workspaceclaim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// create creates the workspace of a claim in the cluster parent. If the class has no room, or the server refuses it, it sets the condition and returns nil.
func (r *reconciler) create(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim, ref claiming.Ref, class *annexv1alpha1.WorkspaceClass,
	parent logicalcluster.Name,
) (*tenancyv1alpha1.Workspace, error) {
	full, err := r.full(ctx, class, ref, parent)
	if err != nil {
		return nil, err
	}
	if full != "" {
		waits(claim, annexv1alpha1.LimitReachedReason, "%s", full)
		return nil, nil
	}
	ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{
		Name:        ref.WorkspaceName(),
		Annotations: map[string]string{annexv1alpha1.ClaimRefAnnotationKey: ref.String()},
	}}
	if claim.Spec.Type != nil {
		if ws.Spec.Type, err = r.typeOf(ctx, class, claim.Spec.Type); err != nil || ws.Spec.Type == nil {
			if err == nil {
				waits(claim, annexv1alpha1.NotPermittedReason, "workspace type %s:%s is not the one that WorkspaceClass %s was accepted for: change the class, "+
					"or create it again", claim.Spec.Type.Path, claim.Spec.Type.Name, class.Name)
			}
			return nil, err
		}
	}
	if class.Spec.Owner == annexv1alpha1.WorkspaceClassOwnerCreator {
		owner, err := claiming.Owner(claim)
		if err != nil {
			return nil, err
		}
		if owner != nil {
			note, err := json.Marshal(owner)
			if err != nil {
				return nil, fmt.Errorf("recording the owner: %w", err)
			}
			ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey] = string(note)
		}
	}
	created, err := r.Client.Create(ctx, workspaces, parent, ws)
	if err != nil {
		if refused(ctx, claim, err) {
			return nil, nil
		}
		return nil, fmt.Errorf("creating Workspace %s for WorkspaceClaim %s: %w", ws.Name, client.KeyOf(claim), err)
	}
	typed, ok := created.(*tenancyv1alpha1.Workspace)
	if !ok {
		return nil, fmt.Errorf("creating Workspace %s: got a %T", ws.Name, created)
	}
	r.created[client.KeyOf(typed)] = ref
	klog.FromContext(ctx).V(2).Info("Created the workspace of a claim", "workspace", client.KeyOf(typed))
	return typed, nil
}

// typeOf returns the reference to a type of a class by the cluster that the class was accepted for; nil if its path leads elsewhere now.
func (r *reconciler) typeOf(ctx context.Context, class *annexv1alpha1.WorkspaceClass, ref *tenancyv1alpha1.WorkspaceTypeReference) (*tenancyv1alpha1.WorkspaceTypeReference, error) {
	_, accepted := acceptedFor(class)
	i := slices.Index(class.Spec.Types, *ref)
	if i < 0 || i >= len(accepted) || accepted[i].Empty() {
		return nil, nil
	}
	found, ok, err := r.Resolver.Resolve(ctx, logicalcluster.Path(ref.Path))
	if err != nil {
		return nil, fmt.Errorf("finding workspace %s: %w", ref.Path, err)
	}
	if !ok || found != accepted[i] {
		return nil, nil
	}
	return &tenancyv1alpha1.WorkspaceTypeReference{Name: ref.Name, Path: accepted[i].String()}, nil
}

// full returns which limit of a class has been reached, for people; empty for none. Workspaces that are kept without a claim count: they
// would be no limit otherwise to who deletes a claim and creates the next one.
func (r *reconciler) full(ctx context.Context, class *annexv1alpha1.WorkspaceClass, ref claiming.Ref, parent logicalcluster.Name) (string, error) {
	existing, err := client.List[tenancyv1alpha1.Workspace](ctx, r.Client, workspaces, client.Scope{Cluster: parent})
	if err != nil {
		return "", err
	}
	var all, ofNamespace int32
	count := func(of claiming.Ref) {
		if of.Class != ref.Class {
			return
		}
		if all++; of.Namespace == ref.Namespace {
			ofNamespace++
		}
	}
	for _, ws := range existing {
		delete(r.created, client.KeyOf(ws))
		if of, ok := refOn(ws); ok {
			count(of)
		}
	}
	// Those that the watch cache does not show are either not there yet, or gone again.
	for key, of := range r.created {
		ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, r.Live, workspaces, key)
		if err != nil {
			return "", err
		}
		if ws == nil {
			delete(r.created, key)
			continue
		}
		if key.Cluster == parent {
			count(of)
		}
	}
	limit := ptr.Deref(class.Spec.MaxWorkspacesPerNamespace, annexv1alpha1.DefaultMaxWorkspacesPerNamespace)
	switch highest := class.Spec.MaxWorkspaces; {
	case ofNamespace >= limit:
		return fmt.Sprintf("WorkspaceClass %s permits %d workspaces for a namespace, and there are %d, including those that are kept without a claim", class.Name, limit, ofNamespace), nil
	case highest != nil && all >= *highest:
		return fmt.Sprintf("WorkspaceClass %s permits %d workspaces, and there are %d, including those that are kept without a claim", class.Name, *highest, all), nil
	}
	return "", nil
}
