package hostbinding

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/registry/rbac/policy"
)

// Authorize implements virtual.Workspace. The host decides, and unless the HostBinding says otherwise the workspace, too: see
// authorization.Authorizer.Projected.
func (e *Endpoint) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	r, ok := routeFrom(ctx)
	if !ok {
		return authorizer.DecisionDeny, "the request is for nothing that is projected", nil
	}
	return e.decide(ctx, r.projection, attrs)
}

// decide decides about a request for what p projects in the cluster of ctx.
func (e *Endpoint) decide(ctx context.Context, p *projection, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	u := attrs.GetUser()
	if u == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	if policy.Master(u, p.key.Cluster) {
		return authorizer.DecisionAllow, "system:masters may do everything", nil
	}
	return e.Policy.Projected(ctx, p.byHost, attrs)
}

// allows is decide for a workspace that only turned up while a request was served. What cannot be decided is not allowed.
func (e *Endpoint) allows(ctx context.Context, p *projection, attrs authorizer.Attributes) bool {
	verdict, reason, err := e.decide(ctx, p, attrs)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Authorization failed", "reason", reason)
	}
	return err == nil && verdict == authorizer.DecisionAllow
}
