package authorization

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/authentication"
)

// Host lets a host cluster decide what its users may do in the workspace that it shows as its own.
type Host struct {
	// Authorizer asks the host.
	Authorizer authorizer.UnconditionalAuthorizer
	// Shows reports whether ctx is for a resource that the host shows as its own. The host does not decide about
	// others.
	Shows func(ctx context.Context) bool
}

// inHostWorkspace asks the host whether its user may do what RBAC of the workspace does not allow. It asks about the user's
// identity on the host. The host cannot lift barriers that apply to everybody.
func (c *Authorizer) inHostWorkspace(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if c.Host == nil || cluster.IsSystem() || !attrs.IsResourceRequest() || isImpersonation(attrs) || !c.Host.Shows(ctx) {
		return authorizer.DecisionNoOpinion, "nothing to ask the host about", nil
	}
	claimed, ok := authentication.HostIdentity(attrs.GetUser())
	if !ok {
		return authorizer.DecisionNoOpinion, "the host does not know the user", nil
	}
	if decision, reason, err := c.behindBarriers(ctx, cluster, attrs); err != nil || decision == authorizer.DecisionDeny {
		return authorizer.DecisionDeny, reason, err
	}
	decision, reason, err := c.Host.Authorizer.Authorize(ctx, asked{attrs, claimed})
	if err != nil {
		err = fmt.Errorf("asking the host: %w", err)
	}
	annotate(ctx, "06-host", attrs, decision, reason, err)
	return decision, reason, err
}

// behindBarriers denies requests that no decision can allow in the cluster. No opinion means that the request may be allowed.
func (c *Authorizer) behindBarriers(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	phase, exists, err := c.Clusters.Phase(ctx, cluster)
	switch {
	case err != nil:
		return authorizer.DecisionDeny, unknownPhase, fmt.Errorf("looking up cluster %q: %w", cluster, err)
	case isInactive(phase) && !servedWhileInactive(attrs):
		return authorizer.DecisionDeny, switchedOff, nil
	case !exists || !enterable(phase):
		return authorizer.DecisionDeny, fmt.Sprintf("the logical cluster is in phase %q", phase), nil
	}
	for _, barrier := range []step{
		{stepGroups, c.requiredGroups, inside},
		{stepSystem, systemCRD, inside},
		{stepMaximal, c.maximalPermission, inside},
	} {
		decision, reason, err := barrier.decide(ctx, cluster, attrs)
		annotate(ctx, barrier.name, attrs, decision, reason, err)
		if err != nil || decision == authorizer.DecisionDeny {
			return authorizer.DecisionDeny, reason, err
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// asked is a request with another user.
type asked struct {
	authorizer.Attributes
	user user.Info
}

// GetUser implements authorizer.Attributes.
func (a asked) GetUser() user.Info { return a.user }
