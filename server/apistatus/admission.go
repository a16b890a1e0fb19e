package apistatus

import (
	"context"

	"k8s.io/apiserver/pkg/admission"
)

// Admission returns chain with errors as Of returns them.
func Admission(chain admission.Interface) admission.Interface { return &plugin{chain} }

type plugin struct{ admission.Interface }

var (
	_ admission.MutationInterface   = &plugin{}
	_ admission.ValidationInterface = &plugin{}
)

// Admit implements admission.MutationInterface.
func (p *plugin) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if mutating, ok := p.Interface.(admission.MutationInterface); ok {
		return Of(mutating.Admit(ctx, a, o))
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if validating, ok := p.Interface.(admission.ValidationInterface); ok {
		return Of(validating.Validate(ctx, a, o))
	}
	return nil
}
