package authorization

import (
	"context"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// annotationPrefix begins the audit annotations of each step, for example request.auth.kcp.io/02-content-decision.
const annotationPrefix = "request.auth.kcp.io/"

// annotate records in the audit log what one step decided. Where several requests are decided on the way of one - an
// impersonation, then the request itself - the first decision of a step is kept, as audit does by itself.
func annotate(ctx context.Context, step string, decision authorizer.Decision, reason string, err error) {
	if err != nil {
		reason = err.Error()
	}
	audit.AddAuditAnnotations(ctx,
		annotationPrefix+step+"-decision", describe(decision),
		annotationPrefix+step+"-reason", reason)
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
