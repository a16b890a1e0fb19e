package schema

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// terminatingKey marks the context of requests for a resource that is going away.
type terminatingKey struct{}

// WithTerminating returns a context in which [NoCreateWhileTerminating] refuses to create anything.
func WithTerminating(ctx context.Context) context.Context {
	return context.WithValue(ctx, terminatingKey{}, true)
}

// NoCreateWhileTerminating returns next behind a check that refuses creates in a context of [WithTerminating], also those that
// come by server-side apply. The handlers of this package have it already.
func NoCreateWhileTerminating(next admission.Interface) admission.Interface {
	return noCreateWhileTerminating{next}
}

// noCreateWhileTerminating refuses creates of resources that are going away, whichever verb they come by.
type noCreateWhileTerminating struct{ admission.Interface }

var (
	_ admission.MutationInterface   = noCreateWhileTerminating{}
	_ admission.ValidationInterface = noCreateWhileTerminating{}
)

// Handles implements admission.Interface.
func (n noCreateWhileTerminating) Handles(operation admission.Operation) bool {
	return operation == admission.Create || n.Interface.Handles(operation)
}

// Admit implements admission.MutationInterface.
func (n noCreateWhileTerminating) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := n.refuse(ctx, a); err != nil {
		return err
	}
	if mutating, ok := n.Interface.(admission.MutationInterface); ok && n.Interface.Handles(a.GetOperation()) {
		return mutating.Admit(ctx, a, o)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (n noCreateWhileTerminating) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := n.refuse(ctx, a); err != nil {
		return err
	}
	if validating, ok := n.Interface.(admission.ValidationInterface); ok && n.Interface.Handles(a.GetOperation()) {
		return validating.Validate(ctx, a, o)
	}
	return nil
}

func (noCreateWhileTerminating) refuse(ctx context.Context, a admission.Attributes) error {
	if a.GetOperation() != admission.Create || ctx.Value(terminatingKey{}) == nil {
		return nil
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(),
		errors.New("create not allowed while custom resource definition is terminating"))
}
