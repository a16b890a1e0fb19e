package schema

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/registry/kinds"
)

// stamping makes every custom resource that is written name its cluster before admission sees it, as strategies do for typed
// resources. Storage does so too, but a dry run never gets that far.
type stamping struct{ admission.Interface }

var (
	_ admission.MutationInterface   = stamping{}
	_ admission.ValidationInterface = stamping{}
)

// Handles implements admission.Interface.
func (s stamping) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update || s.Interface.Handles(operation)
}

// Admit implements admission.MutationInterface.
func (s stamping) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	// The object of another subresource, such as a Scale, is not the one that is stored.
	if obj, ok := a.GetObject().(metav1.Object); ok && (a.GetSubresource() == "" || a.GetSubresource() == "status") {
		kinds.Stamp(ctx, obj)
	}
	if mutating, ok := s.Interface.(admission.MutationInterface); ok && s.Interface.Handles(a.GetOperation()) {
		return mutating.Admit(ctx, a, o)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (s stamping) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if validating, ok := s.Interface.(admission.ValidationInterface); ok && s.Interface.Handles(a.GetOperation()) {
		return validating.Validate(ctx, a, o)
	}
	return nil
}
