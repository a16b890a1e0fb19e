package workspaceclaim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// admitClaim records the user, and sets the class and the type.
func (p *plugin) admitClaim(ctx context.Context, a admission.Attributes, claim *annexv1alpha1.WorkspaceClaim) error {
	if old, ok := a.GetOldObject().(*annexv1alpha1.WorkspaceClaim); ok && a.GetOperation() == admission.Update {
		claim.Annotations = set(claim.Annotations, annexv1alpha1.ClaimOwnerAnnotationKey, old.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey])
		// What the server has set may be missing in what the user has sent.
		if claim.Spec.WorkspaceClassName == "" {
			claim.Spec.WorkspaceClassName = old.Spec.WorkspaceClassName
		}
		if sent, before := claim.Spec.Type, old.Spec.Type; before != nil && (sent == nil || sent.Path == "" && sent.Name == before.Name) {
			claim.Spec.Type = before.DeepCopy()
		}
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	owner := ""
	if !request.IsMaster(a) {
		encoded, err := json.Marshal(request.Creator(a.GetUserInfo(), cluster))
		if err != nil {
			return fmt.Errorf("recording the user: %w", err)
		}
		owner = string(encoded)
	}
	claim.Annotations = set(claim.Annotations, annexv1alpha1.ClaimOwnerAnnotationKey, owner)
	class, err := p.class(ctx, cluster, claim)
	if err != nil || class == nil {
		return err // validateClaim refuses it
	}
	claim.Spec.WorkspaceClassName = class.Name
	if t, err := claiming.Type(class, claim.Spec.Type); err == nil {
		claim.Spec.Type = t
	}
	return nil
}

// class returns the class of a claim, by name or by default; nil if there is none.
func (p *plugin) class(ctx context.Context, cluster logicalcluster.Name, claim *annexv1alpha1.WorkspaceClaim) (*annexv1alpha1.WorkspaceClass, error) {
	if name := claim.Spec.WorkspaceClassName; name != "" {
		class, err := client.Find[annexv1alpha1.WorkspaceClass](ctx, p.Live, classes, client.Key{Cluster: cluster, Name: name})
		if err != nil {
			return nil, apistatus.Internal(err)
		}
		return class, nil
	}
	all, err := client.List[annexv1alpha1.WorkspaceClass](ctx, p.Live, classes, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	return claiming.Default(all), nil
}

// validateClaim refuses a claim that its class does not permit. A claim without a class is refused.
func (p *plugin) validateClaim(ctx context.Context, a admission.Attributes, claim *annexv1alpha1.WorkspaceClaim) error {
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	if claim.Spec.WorkspaceClassName == "" {
		return admission.NewForbidden(a, errors.New("spec.workspaceClassName is not set, and no WorkspaceClass is the default"))
	}
	class, err := p.class(ctx, cluster, claim)
	switch {
	case err != nil:
		return err
	case class == nil:
		return admission.NewForbidden(a, fmt.Errorf("WorkspaceClass %q not found", claim.Spec.WorkspaceClassName))
	case class.DeletionTimestamp != nil:
		return admission.NewForbidden(a, fmt.Errorf("WorkspaceClass %q is being deleted", class.Name))
	}
	if err := claiming.Permits(class, claim); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}
