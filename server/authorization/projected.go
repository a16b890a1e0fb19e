package authorization

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/authentication"
)

// Projected decides a request for what a HostBinding projects, by somebody below system:masters. The host comes first: it has
// decided before it forwarded the request, and is asked about every other one. Then comes the workspace, unless byHost says that
// the host's word is enough. A request for several workspaces, or for one that does not exist, goes on: who serves it asks here
// again, for each workspace, before it shows or writes anything there.
func (c *Authorizer) Projected(ctx context.Context, byHost bool, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case isImpersonation(attrs):
		return authorizer.DecisionDeny, "impersonation is decided at the host", nil
	case !attrs.IsResourceRequest():
		return authorizer.DecisionDeny, "the path is not projected", nil
	}
	if decision, reason, err := c.hostAllows(ctx, attrs); decision != authorizer.DecisionAllow {
		return authorizer.DecisionDeny, reason, err
	}
	cluster, single := logicalcluster.FromContext(ctx)
	switch {
	case ControlsHost(attrs.GetUser()) && !controllersMay(attrs):
		return authorizer.DecisionDeny, "controllers of the host change no single object", nil
	case !single && logicalcluster.IsWildcard(ctx):
		return authorizer.DecisionAllow, "checked again for each workspace", nil
	case !single || cluster.IsSystem():
		return authorizer.DecisionDeny, "the request names no workspace", nil
	case !byHost && ControlsHost(attrs.GetUser()) && attrs.GetVerb() != "get":
		return authorizer.DecisionAllow, "controllers of the host see nothing", nil
	}
	if !byHost {
		decision, reason, _, err := c.inCluster(ctx, cluster, attrs)
		return decision, reason, err
	}
	if decision, reason, err := c.behindBarriers(ctx, cluster, attrs); err != nil || decision == authorizer.DecisionDeny {
		return authorizer.DecisionDeny, reason, err
	}
	return authorizer.DecisionAllow, "the host's decision is enough", nil
}

// hostAllows returns the host's decision about its user. The host has authorized only the request that it forwarded. If the request
// does something else as well, such as a patch that creates an object, hostAllows asks the host about that.
func (c *Authorizer) hostAllows(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	claimed, ok := authentication.HostIdentity(attrs.GetUser())
	if !ok {
		return authorizer.DecisionDeny, "the host does not know the user", nil
	}
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if ok && authentication.Forwarded(attrs.GetUser()) && info.Verb == attrs.GetVerb() && info.Subresource == attrs.GetSubresource() {
		return authorizer.DecisionAllow, "the host has forwarded the request", nil
	}
	if c.Host == nil {
		return authorizer.DecisionDeny, "the host cannot be asked", nil
	}
	decision, reason, err := c.Host.Authorizer.Authorize(ctx, asked{attrs, claimed})
	if err != nil {
		err = fmt.Errorf("asking the host: %w", err)
	}
	annotate(ctx, "06-host", attrs, decision, reason, err)
	return decision, reason, err
}

// ControlsHost reports whether u is a controller of the host that processes all resources: the namespace controller, the garbage
// collector, or the quota controller. Workspaces that decide for themselves do not allow these controllers. The controllers then see
// nothing instead of a refusal, because a namespace controller that is refused anything deletes no namespace of the host. None of
// them may see objects of several workspaces at once, because the garbage collector would delete objects whose owners exist only in
// the workspace and not on the host. For the same reason none of them changes a single object: the garbage collector looks at
// one that something on the host names as its owner. The namespace controller deletes collections.
func ControlsHost(u user.Info) bool {
	claimed, ok := authentication.HostIdentity(u)
	if !ok {
		return false
	}
	switch claimed.GetName() {
	case "system:kube-controller-manager",
		"system:serviceaccount:kube-system:namespace-controller",
		"system:serviceaccount:kube-system:generic-garbage-collector",
		"system:serviceaccount:kube-system:resourcequota-controller":
		return true
	}
	return false
}

// controllersMay reports whether the request is one that controllers of the host may make at all.
func controllersMay(attrs authorizer.Attributes) bool {
	return attrs.GetSubresource() == "" && slices.Contains([]string{"get", "list", "watch", "deletecollection"}, attrs.GetVerb())
}
