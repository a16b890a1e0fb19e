package authorization

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// inProcess decides a request that names no cluster, by somebody below system:masters. Such paths concern the process
// and therefore all tenants, so only the few paths in this function are open.
func (c *Authorizer) inProcess(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, standing, error) {
	if attrs.IsResourceRequest() {
		return authorizer.DecisionDeny, "the request names no cluster", nowhere, nil
	}
	if !authenticated(attrs.GetUser()) {
		return authorizer.DecisionDeny, "the user is not authenticated", nowhere, nil
	}
	switch path := strings.TrimSuffix(attrs.GetPath(), "/"); {
	case path == "/version" && attrs.GetVerb() == "get":
		return authorizer.DecisionAllow, "the version is open to all authenticated users", inside, nil
	case path == "/metrics", strings.HasPrefix(path, "/metrics/"):
		decision, reason, err := c.Evaluator.Authorize(ctx, logicalcluster.Root, attrs)
		annotate(ctx, "05-local", attrs, decision, reason, err)
		return decision, reason, inside, err
	}
	return authorizer.DecisionDeny, "the path is open to system:masters only", nowhere, nil
}
