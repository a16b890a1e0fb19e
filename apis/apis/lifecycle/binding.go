package lifecycle

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/machine"
)

// State is a state of an APIBinding.
type State string

// The states; see the documentation of the package.
const (
	Binding  State = "Binding"
	Bound    State = "Bound"
	Behind   State = "Behind"
	Deleting State = "Deleting"
)

const aBinding = "an APIBinding"

// steps are the states that may follow each state.
var steps = machine.Steps[State]{
	Binding:  {Bound, Deleting},
	Bound:    {Behind, Deleting},
	Behind:   {Bound, Deleting},
	Deleting: {},
}

// Of returns the state of an APIBinding.
func Of(b *apisv1alpha2.APIBinding) State {
	switch {
	case b.DeletionTimestamp != nil:
		return Deleting
	case b.Status.Phase != apisv1alpha2.APIBindingPhaseBound:
		return Binding
	case conditionsv1alpha1.IsFalse(b, apisv1alpha2.APIExportValid), conditionsv1alpha1.IsFalse(b, apisv1alpha2.BindingUpToDate):
		return Behind
	}
	return Bound
}

// Check returns a *machine.Fault if the state machine of an APIBinding has no step from old to updated. See [CheckClaims] for its claims.
func Check(updated, old *apisv1alpha2.APIBinding) error {
	from := Of(old)
	if err := steps.Check(aBinding, from, Of(updated)); err != nil {
		return err
	}
	for i := range old.Status.BoundResources {
		was := &old.Status.BoundResources[i]
		gr := schema.GroupResource{Group: was.Group, Resource: was.Resource}
		is := Resource(updated, gr)
		if is == nil {
			if !IsLeaving(old.Annotations, gr) {
				return machine.Faultf(aBinding, from, "resource %s cannot be gone before it was leaving", gr)
			}
			continue
		}
		if is.Schema.IdentityHash != was.Schema.IdentityHash {
			return machine.Faultf(aBinding, from, "the identity of resource %s cannot change from %s to %s", gr, was.Schema.IdentityHash, is.Schema.IdentityHash)
		}
		for _, version := range was.StorageVersions {
			if !slices.Contains(is.StorageVersions, version) {
				return machine.Faultf(aBinding, from, "objects of resource %s may be stored in version %s, which cannot be forgotten", gr, version)
			}
		}
	}
	return nil
}

// Resource returns the entry of gr in the status of b; nil if it is not bound.
func Resource(b *apisv1alpha2.APIBinding, gr schema.GroupResource) *apisv1alpha2.BoundAPIResource {
	for i := range b.Status.BoundResources {
		if bound := &b.Status.BoundResources[i]; bound.Group == gr.Group && bound.Resource == gr.Resource {
			return bound
		}
	}
	return nil
}
