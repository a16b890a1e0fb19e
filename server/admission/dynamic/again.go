package dynamic

import (
	"context"

	"k8s.io/apiserver/pkg/admission"
)

// Again returns a plugin that calls the given ones in their order, and a second time if one of them has asked for that: what runs
// later may have changed the object. The plugins themselves decide what they do again.
func Again(plugins ...admission.Interface) admission.MutationInterface {
	return &again{admission.NewChainHandler(plugins...)}
}

type again struct{ admission.Interface }

// Admit implements admission.MutationInterface.
func (r *again) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	mutating, ok := r.Interface.(admission.MutationInterface)
	if !ok {
		return nil
	}
	if err := mutating.Admit(ctx, a, o); err != nil || !a.GetReinvocationContext().ShouldReinvoke() {
		return err
	}
	a.GetReinvocationContext().SetIsReinvoke()
	return mutating.Admit(ctx, a, o)
}
