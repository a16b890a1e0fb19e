package authorization

import (
	"context"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Prefixes of the audit annotations of each step that decides, for example request.auth.kcp.io/02-content-decision.
const (
	requestPrefix = "request.auth.kcp.io/"
	reviewPrefix  = "sar.auth.kcp.io/"
)

// Record sets the audit annotations of a step, whose name ends in a dash if it has one. They cannot be changed once they are set. What is decided
// differently when the same request is authorized again, for example because an update turns out to create an object, has others.
func Record(ctx context.Context, step string, decision authorizer.Decision, reason string, err error) {
	ac := audit.AuditContextFrom(ctx)
	if !ac.Enabled() {
		return
	}
	prefix := requestPrefix
	if IsReview(ctx) {
		prefix = reviewPrefix
	}
	if err != nil {
		reason = err.Error()
	}
	for _, again := range []string{"", "again-"} {
		key, word := prefix+step+again, describe(decision)
		had, decided := ac.GetEventAnnotation(key + "decision")
		if !decided {
			audit.AddAuditAnnotations(ctx, key+"decision", word, key+"reason", reason)
			return
		}
		if had == word {
			return
		}
	}
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
