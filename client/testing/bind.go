package annextest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// Answer answers a permission claim of an APIExport.
type Answer struct {
	group, resource string
	labels          map[string]string
	rejected        bool
}

// Accept shows the provider the objects of a resource that have the labels; all objects if labels are empty.
func Accept(group, resource string, labels map[string]string) Answer {
	return Answer{group: group, resource: resource, labels: labels}
}

// Reject rejects the claim on a resource.
func Reject(group, resource string) Answer {
	return Answer{group: group, resource: resource, rejected: true}
}

// Bind binds an APIExport of the provider, with an APIBinding of the same name, and waits until the workspace serves all of it. Claims
// without an answer are accepted with their default selector, or else for all objects.
func (w *Workspace) Bind(tb testing.TB, provider *Workspace, export string, answers ...Answer) {
	tb.Helper()
	if err := w.bind(tb.Context(), provider, export, answers); err != nil {
		tb.Fatalf("binding APIExport %s:%s in workspace %s: %v", provider.Path, export, w.Path, err)
	}
}

func (w *Workspace) bind(ctx context.Context, provider *Workspace, name string, answers []Answer) error {
	from, err := versioned.NewForConfig(provider.Config())
	if err != nil {
		return err
	}
	export, err := from.ApisV1alpha2().APIExports().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	claims, err := answer(export.Spec.PermissionClaims, answers)
	if err != nil {
		return err
	}
	to, err := versioned.NewForConfig(w.Config())
	if err != nil {
		return err
	}
	bindings := to.ApisV1alpha2().APIBindings()
	if _, err := bindings.Create(ctx, &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apisv1alpha2.APIBindingSpec{
			Reference:        apisv1alpha2.BindingReference{Export: &apisv1alpha2.ExportBindingReference{Path: provider.Path.String(), Name: name}},
			PermissionClaims: claims,
		},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		found, err := bindings.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return complete(found, export.Spec.Resources)
	})
}

// answer returns an answer to each claim. An answer to what is not claimed is an error.
func answer(claims []apisv1alpha2.PermissionClaim, answers []Answer) ([]apisv1alpha2.AcceptablePermissionClaim, error) {
	var all []apisv1alpha2.AcceptablePermissionClaim
	unused := slices.Clone(answers)
	for _, claim := range claims {
		is := func(a Answer) bool { return a.group == claim.Group && a.resource == claim.Resource }
		accepted := apisv1alpha2.AcceptablePermissionClaim{State: apisv1alpha2.ClaimAccepted}
		accepted.PermissionClaim, accepted.Selector.MatchAll = claim, true
		if claim.DefaultSelector != nil {
			accepted.Selector, accepted.DefaultSelector = *claim.DefaultSelector, nil
		}
		if i := slices.IndexFunc(answers, is); i >= 0 {
			if answers[i].rejected {
				accepted.State = apisv1alpha2.ClaimRejected
			}
			accepted.Selector = apisv1alpha2.PermissionClaimSelector{MatchAll: len(answers[i].labels) == 0, LabelSelector: metav1.LabelSelector{MatchLabels: answers[i].labels}}
		}
		unused = slices.DeleteFunc(unused, is)
		all = append(all, accepted)
	}
	if len(unused) > 0 {
		return nil, fmt.Errorf("the APIExport does not claim %s of group %q", unused[0].resource, unused[0].group)
	}
	return all, nil
}

// complete says what is missing until a binding has all resources, and all its claims are in effect.
func complete(binding *apisv1alpha2.APIBinding, resources []apisv1alpha2.ResourceSchema) error {
	if binding.Status.Phase != apisv1alpha2.APIBindingPhaseBound {
		return fmt.Errorf("the APIBinding is in phase %q: %v", binding.Status.Phase, binding.Status.Conditions)
	}
	for _, r := range resources {
		if !slices.ContainsFunc(binding.Status.BoundResources, func(b apisv1alpha2.BoundAPIResource) bool { return b.Resource == r.Name && b.Group == r.Group }) {
			return fmt.Errorf("%s of group %q are not bound yet: %v", r.Name, r.Group, binding.Status.Conditions)
		}
	}
	accepted := 0
	for _, claim := range binding.Spec.PermissionClaims {
		if claim.State == apisv1alpha2.ClaimAccepted {
			accepted++
		}
	}
	if applied := len(binding.Status.AppliedPermissionClaims); applied != accepted {
		return fmt.Errorf("%d of %d accepted permission claims are in effect: %v", applied, accepted, binding.Status.Conditions)
	}
	return nil
}
