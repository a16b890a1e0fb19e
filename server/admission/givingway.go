package admission

import (
	"context"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/registry/nice"
)

// givingWay lets the admission of a request give way to others if the request does: the authors of policies decide how long it takes. The
// stock handlers of writes call it on a thread of the usual priority.
type givingWay struct {
	chain interface {
		admission.MutationInterface
		admission.ValidationInterface
	}
}

// Handles implements admission.Interface.
func (g givingWay) Handles(operation admission.Operation) bool { return g.chain.Handles(operation) }

// Admit implements admission.MutationInterface.
func (g givingWay) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) (err error) {
	nice.Run(ctx, func(ctx context.Context) { err = g.chain.Admit(ctx, a, o) })
	return err
}

// Validate implements admission.ValidationInterface.
func (g givingWay) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) (err error) {
	nice.Run(ctx, func(ctx context.Context) { err = g.chain.Validate(ctx, a, o) })
	return err
}
