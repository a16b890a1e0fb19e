package authorization

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	reviews "github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
)

var _ reviews.Decider = &Authorizer{}

// passed says, of each step before RBAC, what it means that a binding lets a request pass. The reasons of the steps name the binding, which may be in
// another workspace.
var passed = map[string]string{
	stepContent: "a binding permits the verb access on the path /",
	stepMaximal: "the maximal permission policy of the APIExport permits it",
}

// names are what users read instead of the names of steps in the audit log.
var names = map[string]string{
	stepGroups: "RequiredGroups", stepContent: "Entry", stepSystem: "SystemStatus", stepMaximal: "MaximalPermissionPolicy", stepWebhook: Webhook,
	stepOf[policy.System]: "SystemRBAC", stepOf[policy.Local]: "LocalRBAC", stepOf[policy.Inherited]: "InheritedRBAC",
}

// Explain implements reviews.Decider. It decides as Authorize does, and asks each step also about what an earlier one has decided.
func (c *Authorizer) Explain(ctx context.Context, attrs authorizer.Attributes) reviews.Account {
	decision, reason, _, err := c.decide(ctx, attrs)
	conclude(ctx, attrs, decision, reason, err)
	account := reviews.Account{Allowed: decision == authorizer.DecisionAllow && err == nil}
	cluster, named := logicalcluster.FromContext(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Authorization failed", "cluster", cluster, "reason", reason)
		account.Err = errUnavailable
	}
	if u := attrs.GetUser(); u == nil || !named || cluster.IsSystem() {
		return account
	}
	master := policy.Master(attrs.GetUser(), authentication.ClusterOf(ctx))
	for _, name := range c.Order {
		step := annexv1alpha1.AccessStep{Name: name, Decision: annexv1alpha1.AccessNoOpinion}
		switch {
		case name == AlwaysAllowGroups && master:
			step.Decision, step.Message = annexv1alpha1.AccessAllowed, "system:masters may do everything"
		case name == AlwaysAllowPaths && c.opens(attrs):
			step.Decision, step.Message = annexv1alpha1.AccessAllowed, openToAll
		case name == RBAC:
			account.Steps = append(account.Steps, c.explainRBAC(ctx, cluster, attrs)...)
			continue
		case name == Webhook && c.Webhook != nil:
			step = described(stepWebhook, false)(c.byWebhookAlone(ctx, cluster, attrs))
		default:
			continue
		}
		account.Steps = append(account.Steps, step)
		if step.Decision == annexv1alpha1.AccessAllowed {
			break
		}
	}
	return account
}

// byWebhookAlone is byWebhook without where the user stands.
func (c *Authorizer) byWebhookAlone(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	decision, reason, _, err := c.byWebhook(ctx, cluster, attrs)
	return decision, reason, err
}

// explainRBAC asks all steps of RBAC.
func (c *Authorizer) explainRBAC(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) []annexv1alpha1.AccessStep {
	var steps []annexv1alpha1.AccessStep
	for _, s := range c.barriers() {
		steps = append(steps, described(s.name, true)(s.decide(ctx, cluster, attrs)))
	}
	found := map[policy.Source]bool{}
	err := c.Evaluator.Grants(ctx, cluster, attrs, func(g policy.Grant) bool {
		found[g.Source] = true
		return true
	})
	for _, source := range policy.Sources() {
		decision, reason := authorizer.DecisionNoOpinion, "no binding allows it"
		if found[source] {
			decision, reason = authorizer.DecisionAllow, "a binding allows it"
		}
		steps = append(steps, described(stepOf[source], false)(decision, reason, err))
	}
	return steps
}

// described returns a function that returns a step as users read it. A barrier allows nothing: it denies a request, or lets it pass.
func described(name string, barrier bool) func(authorizer.Decision, string, error) annexv1alpha1.AccessStep {
	return func(decision authorizer.Decision, reason string, err error) annexv1alpha1.AccessStep {
		step := annexv1alpha1.AccessStep{Name: names[name], Decision: annexv1alpha1.AccessNoOpinion, Message: reason}
		switch {
		case err != nil:
			step.Decision, step.Message = annexv1alpha1.AccessDenied, errUnavailable.Error()
		case decision == authorizer.DecisionDeny:
			step.Decision = annexv1alpha1.AccessDenied
		case barrier, decision == authorizer.DecisionAllow:
			step.Decision = annexv1alpha1.AccessAllowed
			if text, ok := passed[name]; ok && strings.HasPrefix(reason, "allowed by ") {
				step.Message = text
			}
		}
		return step
	}
}
