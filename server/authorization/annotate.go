package authorization

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	reviews "github.com/annex-dev/annex/registry/authorization"
)

// conclude records in the audit log what all steps together decided, and why: also for requests that the numbered steps are not about, such as
// those of system:masters and for virtual endpoints. Of the checks of an impersonation, it records the one that ends the request.
func conclude(ctx context.Context, attrs authorizer.Attributes, decision authorizer.Decision, reason string, err error) {
	step := ""
	if isImpersonation(attrs) && !reviews.IsReview(ctx) {
		if decision == authorizer.DecisionAllow || isConstrained(attrs.GetVerb()) {
			return // the request goes on
		}
		step = "impersonation-"
	}
	reviews.Record(ctx, step, decision, reason, err)
}

// annotate records in the audit log what one step decided. It does not record the check of an impersonation, because the annotations are for the
// request that follows.
func annotate(ctx context.Context, step string, attrs authorizer.Attributes, decision authorizer.Decision, reason string, err error) {
	if isImpersonation(attrs) && !reviews.IsReview(ctx) {
		return
	}
	reviews.Record(ctx, step+"-", decision, reason, err)
}
