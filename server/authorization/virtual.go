package authorization

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/virtual"
)

// InCluster decides whether the user of attrs may do something in a cluster, for a virtual workspace that depends on it. ctx is for that cluster
// alone. The user learns nothing of it but what the virtual workspace tells.
func (c *Authorizer) InCluster(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetUser() == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	if policy.Master(attrs.GetUser(), cluster) {
		return authorizer.DecisionAllow, "system:masters may do everything", nil
	}
	decision, reason, _, err := c.inCluster(ctx, cluster, attrs)
	return decision, reason, err
}

// atEndpoint decides a request for a virtual endpoint, which may be whether somebody may stand in for somebody else there.
// The virtual workspace decides, and unless the endpoint is direct, two rules are the same for all: whom one may stand in for is
// a matter of the cluster that holds the endpoint, and neither that cluster nor the target is reached while it is switched off.
func (c *Authorizer) atEndpoint(ctx context.Context, endpoint virtual.Endpoint, attrs authorizer.Attributes, master bool) (authorizer.Decision, string, error) {
	switch {
	case c.virtual == nil:
		return authorizer.DecisionDeny, "nobody decides about virtual endpoints here", nil
	case isImpersonation(attrs) && endpoint.Workspace:
		return authorizer.DecisionDeny, "nobody is impersonated beyond this server", nil
	case isImpersonation(attrs) && master:
		return authorizer.DecisionAllow, "system:masters may do everything", nil
	case isImpersonation(attrs) && !endpoint.Direct:
		decision, reason, _, err := c.inCluster(ctx, endpoint.Cluster, attrs)
		return decision, reason, err
	}
	decision, reason, err := c.virtual.Authorize(ctx, attrs)
	if decision != authorizer.DecisionAllow || master || endpoint.Direct {
		return decision, reason, err
	}
	clusters := []logicalcluster.Name{endpoint.Cluster}
	if consumer, single := logicalcluster.FromContext(ctx); single {
		clusters = append(clusters, consumer)
	}
	for _, cluster := range clusters {
		phase, _, err := c.Clusters.Phase(ctx, cluster)
		switch {
		case err != nil:
			return authorizer.DecisionDeny, unknownPhase, fmt.Errorf("looking up cluster %q: %w", cluster, err)
		case isInactive(phase):
			return authorizer.DecisionDeny, switchedOff, nil
		}
	}
	return decision, reason, nil
}
