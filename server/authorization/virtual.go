package authorization

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

// atEndpoint decides a request for a virtual endpoint, which may be whether somebody may stand in for somebody else there.
// The virtual workspace decides, and unless the endpoint is direct, two rules are the same for all: whom one may stand in for is
// a matter of the cluster that holds the endpoint, and neither that cluster nor the target is reached while it is switched off.
func (c *Authorizer) atEndpoint(ctx context.Context, endpoint virtual.Endpoint, attrs authorizer.Attributes, master bool) (authorizer.Decision, string, error) {
	switch {
	case c.virtual == nil:
		return authorizer.DecisionDeny, "nobody decides about virtual endpoints here", nil
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
