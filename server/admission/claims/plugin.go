package claims

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/apis/claims"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/server/admission/request"
)

// labeling adds labels.
type labeling struct{ *admission.Handler }

// checking refuses.
type checking struct{ *admission.Handler }

var (
	_ admission.MutationInterface   = &labeling{}
	_ admission.ValidationInterface = &checking{}
)

// NewLabels returns the plugin that adds the labels of a grant.
func NewLabels() admission.Interface {
	return &labeling{admission.NewHandler(admission.Create, admission.Update)}
}

// New returns the plugin that refuses what no claim lets a provider write, and labels that are reserved.
func New() admission.Interface {
	return &checking{admission.NewHandler(admission.Create, admission.Update)}
}

// Admit implements admission.MutationInterface. A label that is missing is added. One with another value is refused, because the object
// would leave the claim.
func (p *labeling) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	grant := from(ctx)
	if grant == nil || len(grant.Labels) == 0 || a.GetSubresource() != "" {
		return nil
	}
	obj, err := meta.Accessor(a.GetObject())
	if err != nil {
		return admission.NewForbidden(a, errors.New("the object has no labels, which the permission claim selects by"))
	}
	set := maps.Clone(obj.GetLabels())
	if set == nil {
		set = map[string]string{}
	}
	for key, value := range grant.Labels {
		if written, ok := set[key]; ok && written != value {
			return admission.NewForbidden(a, fmt.Errorf("protected label %q must have the value %q, by which the consumer selects the objects of the permission claim", key, value))
		}
		set[key] = value
	}
	obj.SetLabels(set)
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *checking) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if err := reserved(a); err != nil {
		return err
	}
	grant := from(ctx)
	if grant == nil {
		return nil
	}
	obj, err := meta.Accessor(a.GetObject())
	if err != nil || !grant.matches(labels.Set(obj.GetLabels())) {
		return admission.NewForbidden(a, errors.New("the object must match the selector with which the consumer accepted the permission claim"))
	}
	return ownClaims(a)
}

// reserved returns an error if the request changes a reserved label.
func reserved(a admission.Attributes) error {
	if request.IsMaster(a) {
		return nil
	}
	now, before := reservedLabels(a.GetObject()), reservedLabels(a.GetOldObject())
	if maps.Equal(now, before) {
		return nil
	}
	return admission.NewForbidden(a, fmt.Errorf("labels that begin with %s are reserved for the server", identity.ClaimedLabelPrefix))
}

func reservedLabels(obj runtime.Object) map[string]string {
	if obj == nil {
		return nil
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil // an object without metadata has no labels
	}
	var found map[string]string
	for key, value := range accessor.GetLabels() {
		if strings.HasPrefix(key, identity.ClaimedLabelPrefix) {
			if found == nil {
				found = map[string]string{}
			}
			found[key] = value
		}
	}
	return found
}

// ownClaims returns an error if a provider accepts claims in a binding. Whoever may write bindings could otherwise accept everything for itself.
func ownClaims(a admission.Attributes) error {
	binding, ok := a.GetObject().(*apisv1alpha2.APIBinding)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	var before []apisv1alpha2.AcceptablePermissionClaim
	if old, ok := a.GetOldObject().(*apisv1alpha2.APIBinding); ok {
		before = old.Spec.PermissionClaims
	}
	for i := range binding.Spec.PermissionClaims {
		claim := &binding.Spec.PermissionClaims[i]
		if claim.State == apisv1alpha2.ClaimAccepted && !slices.ContainsFunc(before, func(b apisv1alpha2.AcceptablePermissionClaim) bool {
			return b.State == apisv1alpha2.ClaimAccepted && claims.KeyOf(&b.PermissionClaim) == claims.KeyOf(&claim.PermissionClaim) &&
				slices.Equal(claims.Intersect(claim.Verbs, b.Verbs), claim.Verbs)
		}) {
			return admission.NewForbidden(a, fmt.Errorf("spec.permissionClaims[%d]: a provider cannot accept permission claims for a consumer", i))
		}
	}
	return nil
}
