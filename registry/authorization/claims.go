package authorization

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

const (
	// stepClaims is the name of the step that tells of providers. It decides nothing here: their requests come in at other endpoints.
	stepClaims = "PermissionClaims"
	// mostProviders bounds how many bindings a review tells of.
	mostProviders = 20
)

var bindings = apisv1alpha2.Resource("apibindings")

// providers says, a sentence for each APIBinding, which providers may do what attrs say at the endpoints of their exports: by a claim that the
// workspace has accepted, or because the resource is theirs. Who may not list APIBindings of the workspace learns nothing.
func (a *asking) providers(ctx context.Context, attrs authorizer.Attributes) ([]string, error) {
	if !attrs.IsResourceRequest() || !a.may(ctx, client.Key{Cluster: a.cluster, Namespace: "list", Name: bindings.String()}, authorizer.AttributesRecord{
		User: a.user, Verb: "list", APIGroup: bindings.Group, APIVersion: apisv1alpha2.SchemeGroupVersion.Version, Resource: bindings.Resource, ResourceRequest: true,
	}) {
		return nil, nil
	}
	found, err := a.cached.List(ctx, bindings, client.Scope{Cluster: a.cluster})
	if err != nil {
		klog.FromContext(ctx).Error(err, "APIBindings could not be read for a review", "cluster", a.cluster, "resource", bindings)
		return nil, err
	}
	var all []*apisv1alpha2.APIBinding
	for _, obj := range found {
		if binding, ok := obj.(*apisv1alpha2.APIBinding); ok && binding.DeletionTimestamp == nil {
			all = append(all, binding)
		}
	}
	var out []string
	for _, binding := range all {
		by := reachOf(binding, all, attrs)
		if by == "" {
			continue
		}
		if len(out) == mostProviders {
			return append(out, "There are more APIBindings whose providers may do this."), nil
		}
		out = append(out, fmt.Sprintf("Whoever may use the content of %s may do this at its endpoint: %s.", exportOf(binding), by))
	}
	return out, nil
}

// reachOf says by what the provider of a binding may do what attrs say; empty if it may not. all are the bindings of the workspace.
func reachOf(binding *apisv1alpha2.APIBinding, all []*apisv1alpha2.APIBinding, attrs authorizer.Attributes) string {
	gr := apisv1alpha2.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}
	if slices.ContainsFunc(binding.Status.BoundResources, func(r apisv1alpha2.BoundAPIResource) bool { return r.Group == gr.Group && r.Resource == gr.Resource }) {
		return fmt.Sprintf("APIBinding %q binds the resource", binding.Name)
	}
	for _, same := range claims.Equivalent(gr) {
		for i := range binding.Status.AppliedPermissionClaims {
			claim := &binding.Status.AppliedPermissionClaims[i]
			if claim.GroupResource != same || !claims.Allows(claim.Verbs, attrs.GetVerb()) || !isServed(claim, all) {
				continue
			}
			text := fmt.Sprintf("APIBinding %q accepts its permission claim", binding.Name)
			if selector := claim.Selector.LabelSelector; !claim.Selector.MatchAll {
				text += ", for objects with the labels " + metav1.FormatLabelSelector(&selector)
			}
			return text
		}
	}
	return ""
}

// isServed reports whether a claim is on what the workspace has under the name of the resource: one on an API of another export names the identity
// of that.
func isServed(claim *apisv1alpha2.ScopedPermissionClaim, all []*apisv1alpha2.APIBinding) bool {
	return claim.IdentityHash == "" || slices.ContainsFunc(all, func(b *apisv1alpha2.APIBinding) bool {
		return slices.ContainsFunc(b.Status.BoundResources, func(r apisv1alpha2.BoundAPIResource) bool {
			return r.Group == claim.Group && r.Resource == claim.Resource && r.Schema.IdentityHash == claim.IdentityHash
		})
	})
}

func exportOf(binding *apisv1alpha2.APIBinding) string {
	export := binding.Spec.Reference.Export
	if export == nil {
		return "an APIExport"
	}
	if export.Path == "" {
		return "APIExport " + export.Name
	}
	return "APIExport " + export.Path + ":" + export.Name
}

// claimsStep returns the step that tells of providers; false if there is nothing to tell.
func claimsStep(providers []string) (annexv1alpha1.AccessStep, bool) {
	return annexv1alpha1.AccessStep{Name: stepClaims, Decision: annexv1alpha1.AccessNoOpinion, Message: strings.Join(providers, " ")}, len(providers) > 0
}
