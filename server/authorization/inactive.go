package authorization

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

// Reasons for the audit log.
const (
	switchedOff  = "the logical cluster is switched off by its annotation"
	unknownPhase = "the logical cluster could not be looked up"
)

func isInactive(phase string) bool { return phase == string(corev1alpha1.LogicalClusterPhaseInactive) }

// servedWhileInactive reports whether an inactive cluster still serves the request: for the object that makes it active again, and for
// the documents that clients read before they change that object. Impersonation is decided as usual, because the request itself is
// checked next.
func servedWhileInactive(attrs authorizer.Attributes) bool {
	if !attrs.IsResourceRequest() {
		return attrs.GetPath() == "/openapi" || strings.HasPrefix(attrs.GetPath(), "/openapi/")
	}
	if isImpersonation(attrs) {
		return true
	}
	resource := corev1alpha1.Resource("logicalclusters")
	return attrs.GetAPIGroup() == resource.Group && attrs.GetResource() == resource.Resource
}

// atEndpoint decides a request for a virtual endpoint. It denies the request if the consumer or the
// provider is inactive.
func (c *chain) atEndpoint(ctx context.Context, endpoint virtual.Endpoint, attrs authorizer.Attributes, master bool) (authorizer.Decision, string, error) {
	decision, reason, err := c.Virtual.Authorize(ctx, attrs)
	if decision != authorizer.DecisionAllow || master {
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
