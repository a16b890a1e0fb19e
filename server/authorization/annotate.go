package authorization

import (
	"context"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	reviews "github.com/annex-dev/annex/registry/authorization"
)

// Prefixes of the audit annotations of each step, for example request.auth.kcp.io/02-content-decision.
const (
	requestPrefix = "request.auth.kcp.io/"
	reviewPrefix  = "sar.auth.kcp.io/"
)

// annotate records in the audit log what one step decided. An annotation cannot be changed once it is set.
// Therefore annotate does not record the check of an impersonation, only the request that follows.
func annotate(ctx context.Context, step string, attrs authorizer.Attributes, decision authorizer.Decision, reason string, err error) {
	if isImpersonation(attrs) && !reviews.IsReview(ctx) {
		return
	}
	prefix := requestPrefix
	if reviews.IsReview(ctx) {
		prefix = reviewPrefix
	}
	if err != nil {
		reason = err.Error()
	}
	audit.AddAuditAnnotations(ctx, prefix+step+"-decision", describe(decision), prefix+step+"-reason", reason)
}

func describe(decision authorizer.Decision) string {
	switch decision {
	case authorizer.DecisionAllow:
		return "Allowed"
	case authorizer.DecisionNoOpinion:
		return "NoOpinion"
	default:
		return "Denied"
	}
}
