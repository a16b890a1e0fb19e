package admission

import (
	"context"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/registry/nice"
)

// givingWay lets the admission of a request give way to others if the request does: the authors of policies decide how long it takes. The
// stock handlers of writes call it on a thread of the usual priority.
type givingWay struct {
	admission.Interface
	mutating   admission.MutationInterface
	validating admission.ValidationInterface
}

func newGivingWay(chain interface {
	admission.Interface
	admission.MutationInterface
	admission.ValidationInterface
}) givingWay {
	return givingWay{chain, chain, chain}
}

// Admit implements admission.MutationInterface.
func (g givingWay) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) (err error) {
	nice.Run(ctx, func(ctx context.Context) { err = g.mutating.Admit(ctx, a, o) })
	return err
}

// Validate implements admission.ValidationInterface.
func (g givingWay) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) (err error) {
	nice.Run(ctx, func(ctx context.Context) { err = g.validating.Validate(ctx, a, o) })
	return err
}
