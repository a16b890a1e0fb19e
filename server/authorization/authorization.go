package authorization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	reviews "github.com/annex-dev/annex/registry/authentication"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/virtual"
)

// The only messages for users. A user who is not let into a workspace is told that, too; in the same words if there is none.
const (
	granted = "access granted"
	denied  = "access denied"
)

// errUnavailable is the message for users if a decision could not be made. The cause is logged.
var errUnavailable = errors.New("access cannot be checked right now, try again")

// ClusterLookup knows the logical clusters.
type ClusterLookup interface {
	// Phase returns the phase of a logical cluster, such as Ready; false if there is no such cluster.
	Phase(ctx context.Context, cluster logicalcluster.Name) (phase string, exists bool, err error)
	// PhaseNow is like Phase, but it sees every change that was acknowledged before the call.
	PhaseNow(ctx context.Context, cluster logicalcluster.Name) (phase string, exists bool, err error)
}

// Config contains the parts that the authorizer decides with.
type Config struct {
	// Evaluator knows the RBAC of each cluster.
	Evaluator *policy.Evaluator
	// Clusters knows which clusters exist.
	Clusters ClusterLookup
	// Catalog knows what clusters bind, and Policies what the providers let them do with it.
	Catalog  Catalog
	Policies Policies
	// Address returns what the client wrote as the workspace of the request; empty if that is not known.
	Address func(ctx context.Context) string
	// Host also decides about its users in the host workspace; nil if there is no host.
	Host *Host
	// AlwaysAllowPaths are open to everybody, in every cluster; one that ends in "*" matches all paths with that prefix.
	// See DefaultAlwaysAllowPaths.
	AlwaysAllowPaths []string
	// Order says who decides, and who is asked first. See DefaultOrder.
	Order []string
	// Webhook is asked at its place in Order; nil if there is none.
	Webhook authorizer.UnconditionalAuthorizer
}

// DefaultAlwaysAllowPaths returns the paths of health checks.
func DefaultAlwaysAllowPaths() []string {
	return []string{"/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*"}
}

// Authorizer decides about requests for clusters. One for a virtual endpoint it refuses; see [Authorizer.WithVirtual].
type Authorizer struct {
	Config
	// virtual decides about requests for virtual endpoints; nil for nobody.
	virtual authorizer.UnconditionalAuthorizer
}

var _ authorizer.UnconditionalAuthorizer = &Authorizer{}

// New returns the authorizer of clusters. It is an error to leave out what decides.
func New(c Config) (*Authorizer, error) {
	switch {
	case c.Evaluator == nil:
		return nil, errors.New("building the authorizer: an RBAC evaluator is required")
	case c.Clusters == nil:
		return nil, errors.New("building the authorizer: a lookup of clusters is required")
	case c.Catalog == nil || c.Policies == nil:
		return nil, errors.New("building the authorizer: a catalog and the maximal permission policies are required")
	}
	if c.Host != nil && (c.Host.Authorizer == nil || c.Host.Shows == nil) {
		return nil, errors.New("building the authorizer: a host requires Authorizer and Shows")
	}
	if err := CheckPaths(c.AlwaysAllowPaths); err != nil {
		return nil, fmt.Errorf("building the authorizer: %w", err)
	}
	if err := CheckOrder(c.Order); err != nil {
		return nil, fmt.Errorf("building the authorizer: %w", err)
	}
	if c.Webhook != nil && !slices.Contains(c.Order, Webhook) {
		return nil, errors.New("building the authorizer: the webhook has no place in the order")
	}
	return &Authorizer{Config: c}, nil
}

// CheckPaths returns what is wrong with paths that are always allowed.
func CheckPaths(paths []string) error {
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") || strings.Contains(strings.TrimSuffix(path, "*"), "*") {
			return fmt.Errorf("a path that is always allowed must begin with / and may contain * only at its end: %q", path)
		}
	}
	return nil
}

// WithVirtual returns an authorizer that decides as c does, and lets virtual decide about requests for virtual endpoints, those
// of system:masters included. It is the authorizer of a whole server.
func (c *Authorizer) WithVirtual(virtual authorizer.UnconditionalAuthorizer) (authorizer.Authorizer, error) {
	if virtual == nil {
		return nil, errors.New("building the authorizer: an authorizer of virtual endpoints is required")
	}
	whole := &Authorizer{Config: c.Config, virtual: virtual}
	return authorizer.AuthorizerFunc(whole.Authorize), nil
}

// Authorize implements authorizer.UnconditionalAuthorizer. It decides and hides why.
func (c *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	decision, reason, where, err := c.decide(ctx, attrs)
	conclude(ctx, attrs, decision, reason, err)
	if decision == authorizer.DecisionAllow {
		return decision, granted, nil
	}
	logger := klog.FromContext(ctx)
	if err != nil {
		logger.Error(err, "Authorization failed", "reason", reason)
		apistatus.Undecided(ctx)
		return authorizer.DecisionDeny, denied, errUnavailable
	}
	logger.V(4).Info("Access denied", "decision", decision.String(), "reason", reason)
	if u := attrs.GetUser(); u != nil && policy.Master(u, authentication.ClusterOf(ctx)) {
		// system:masters may know which clusters exist.
		return decision, reason, nil
	}
	return decision, denied + c.explain(ctx, attrs, where), nil
}

// decide also returns where the user stands, for what is not allowed.
func (c *Authorizer) decide(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, standing, error) {
	u := attrs.GetUser()
	if u == nil {
		return authorizer.DecisionDeny, "the request has no user", inside, nil
	}
	if asksWhoIAm(ctx, attrs) {
		return authorizer.DecisionAllow, "all authenticated users may ask who they are", inside, nil
	}
	if logicalcluster.IsUnknown(ctx) {
		if c.opens(attrs) && isOneOf(DefaultAlwaysAllowPaths(), attrs.GetPath()) {
			return authorizer.DecisionAllow, openToAll, inside, nil
		}
		where := outside
		if _, ok := virtual.FromContext(ctx); ok {
			where = inside // as where there is no such endpoint
		}
		return authorizer.DecisionDeny, "the logical cluster does not exist", where, nil
	}
	master := policy.Master(u, authentication.ClusterOf(ctx))
	if isImpersonation(attrs) {
		if reason := refuseImpersonation(attrs, master); reason != "" {
			return authorizer.DecisionDeny, reason, inside, nil
		}
	}
	if endpoint, ok := virtual.FromContext(ctx); ok {
		if c.opens(attrs) {
			return authorizer.DecisionAllow, openToAll, inside, nil
		}
		decision, reason, err := c.atEndpoint(ctx, endpoint, attrs, master)
		if endpoint.Workspace {
			return decision, reason, outside, err
		}
		return decision, reason, inside, err
	}
	cluster, named := logicalcluster.FromContext(ctx)
	return c.inOrder(ctx, cluster, attrs, master, func() (authorizer.Decision, string, standing, error) {
		switch {
		case named:
			decision, reason, where, err := c.byRBAC(ctx, cluster, attrs)
			if decision == authorizer.DecisionAllow || err != nil {
				return decision, reason, where, err
			}
			if word, why, err := c.inHostWorkspace(ctx, cluster, attrs); err != nil || word == authorizer.DecisionAllow {
				return word, why, inside, err
			}
			return decision, reason, where, nil
		case logicalcluster.IsWildcard(ctx):
			return authorizer.DecisionDeny, "only system:masters may read all clusters at once", inside, nil
		default:
			return c.inProcess(ctx, attrs)
		}
	})
}

// Names of steps.
const (
	stepGroups  = "01-requiredgroups"
	stepContent = "02-content"
	stepSystem  = "03-systemcrd"
)

// stepOf are the steps of RBAC, by where bindings come from.
var stepOf = map[policy.Source]string{policy.System: "05-bootstrap", policy.Local: "05-local", policy.Inherited: "05-inherited"}

// step is one of the steps that decide about a request for one cluster.
type step struct {
	name   string
	decide func(context.Context, logicalcluster.Name, authorizer.Attributes) (authorizer.Decision, string, error)
	// refused is where the user stands whom the step denies something.
	refused standing
}

// byRBAC decides a request that is for one cluster, by somebody below system:masters.
func (c *Authorizer) byRBAC(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, standing, error) {
	if cluster.IsSystem() {
		return authorizer.DecisionDeny, "only system:masters may enter clusters of the server itself", outside, nil
	}
	attrs = confined(ctx, attrs)
	for _, s := range c.barriers() {
		decision, reason, err := s.decide(ctx, cluster, attrs)
		annotate(ctx, s.name, attrs, decision, reason, err)
		if err != nil || decision == authorizer.DecisionDeny {
			if reason == switchedOff {
				s.refused = before
			}
			return authorizer.DecisionDeny, reason, s.refused, err
		}
	}
	var failures []error
	for _, v := range c.Evaluator.Decide(ctx, cluster, attrs) {
		annotate(ctx, stepOf[v.Source], attrs, v.Decision, v.Reason, v.Err)
		if v.Decision == authorizer.DecisionAllow {
			return v.Decision, v.Reason, inside, nil
		}
		// Each of the policies can allow a request without the others.
		failures = append(failures, v.Err)
	}
	if err := errors.Join(failures...); err != nil {
		return authorizer.DecisionDeny, "the policy could not be read", inside, err
	}
	return authorizer.DecisionNoOpinion, "no binding allows it", inside, nil
}

// barriers returns the steps before RBAC, which allow nothing.
func (c *Authorizer) barriers() []step {
	return []step{
		{stepGroups, c.requiredGroups, outside},
		{stepContent, c.content, outside},
		{stepSystem, systemCRD, inside},
		{stepMaximal, c.maximalPermission, inside},
	}
}

// asksWhoIAm reports whether a user asks who they are. The answer is the same everywhere, so it does not reveal what exists.
func asksWhoIAm(ctx context.Context, attrs authorizer.Attributes) bool {
	_, atEndpoint := virtual.FromContext(ctx)
	resource := schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}
	return !atEndpoint && !logicalcluster.IsWildcard(ctx) && attrs.IsResourceRequest() && authenticated(attrs.GetUser()) &&
		reviews.AsksWhoIAm(attrs.GetVerb(), resource, attrs.GetSubresource())
}

// authenticated reports whether u is authenticated.
func authenticated(u user.Info) bool { return slices.Contains(u.GetGroups(), user.AllAuthenticated) }
