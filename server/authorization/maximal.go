package authorization

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	reviews "github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/maximal"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
)

const stepMaximal = "04-maxpermissionpolicy"

// Catalog knows what clusters bind; registry/catalog.Catalog is one.
type Catalog interface {
	For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
}

// Policies knows which APIExports have a maximal permission policy; registry/maximal.Policies is one.
type Policies interface {
	Of(ctx context.Context, export client.Key) (maximal.State, error)
}

// maximalPermission denies what the provider of a bound resource does not let consumers do. It allows nothing: no opinion means that RBAC of the
// cluster decides.
func (c *Authorizer) maximalPermission(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	gr := schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}
	if !attrs.IsResourceRequest() || kinds.All.IsEverywhere(gr) {
		return authorizer.DecisionNoOpinion, "", nil
	}
	snapshot, err := c.Catalog.For(ctx, cluster)
	if err != nil {
		return authorizer.DecisionDeny, "what the cluster binds could not be read", err
	}
	source, bound := snapshot.Source(gr)
	if !bound {
		return authorizer.DecisionNoOpinion, "", nil
	}
	return c.limit(ctx, source, cluster, confined(ctx, attrs))
}

// confined returns attrs with the user that stands behind the check, as long as that is not a review: a user whom somebody impersonates in a cluster is
// valid in that cluster only, so the clusters above give that user nothing.
func confined(ctx context.Context, attrs authorizer.Attributes) authorizer.Attributes {
	if reviews.IsReview(ctx) || isImpersonation(attrs) {
		return attrs
	}
	u := attrs.GetUser()
	if in := authentication.Confined(ctx, u); in != u {
		return asked{attrs, in}
	}
	return attrs
}

// limit asks the policy of the APIExport behind a bound resource, if it has one, about the user of a request in cluster. It reads the RBAC of
// the cluster that the binding was accepted for.
func (c *Authorizer) limit(ctx context.Context, source catalog.Source, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if source.Export.Cluster.Empty() {
		return authorizer.DecisionDeny, "the binding does not say which APIExport it binds", nil
	}
	state, err := c.Policies.Of(ctx, source.Export)
	switch {
	case err != nil:
		return authorizer.DecisionDeny, "the APIExport could not be read", err
	case state == maximal.Free:
		return authorizer.DecisionNoOpinion, "the APIExport has no maximal permission policy", nil
	case state == maximal.Missing:
		return authorizer.DecisionNoOpinion, "the APIExport was deleted, and with it its maximal permission policy", nil
	case state == maximal.Unknown && !source.Limited:
		return authorizer.DecisionNoOpinion, "the workspace of the APIExport is gone, which had no maximal permission policy", nil
	case state != maximal.Limited:
		return authorizer.DecisionDeny, "the workspace of the APIExport is gone, and with it what its maximal permission policy allowed", nil
	}
	consumers := policy.AsConsumers(attrs.GetUser(), cluster, source.Export.Cluster)
	var failures []error
	for _, consumer := range consumers {
		decision, reason, err := c.Evaluator.Authorize(ctx, source.Export.Cluster, asked{attrs, consumer})
		if decision == authorizer.DecisionAllow {
			return authorizer.DecisionNoOpinion, reason, nil
		}
		failures = append(failures, err)
	}
	return authorizer.DecisionDeny, fmt.Sprintf("the maximal permission policy of APIExport %s does not allow it to %q", source.Export, consumers[0].GetName()),
		errors.Join(failures...)
}

// MayClaim reports whether the policy behind a bound resource lets the user of attrs, whom the cluster of an export with a permission claim has
// let in, reach what the claim covers.
func (c *Authorizer) MayClaim(ctx context.Context, from logicalcluster.Name, source catalog.Source, attrs authorizer.Attributes) (bool, error) {
	if policy.Master(attrs.GetUser(), from) {
		return true, nil
	}
	decision, reason, err := c.limit(ctx, source, from, attrs)
	annotate(ctx, stepMaximal, attrs, decision, reason, err)
	return err == nil && decision != authorizer.DecisionDeny, err
}

// Again asks the policy behind what serves an authorized request of ctx in cluster. The request was authorized before anybody knew that, and may
// have waited since: meanwhile the cluster may have bound the resource. The error is an API status for the client.
func (c *Authorizer) Again(ctx context.Context, cluster logicalcluster.Name, served *catalog.Served) error {
	if served.Binding == "" {
		return nil
	}
	attrs, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	switch u := attrs.GetUser(); {
	case u == nil:
		return apierrors.NewInternalError(errors.New("the request has no user"))
	case policy.Master(u, cluster):
		return nil
	}
	decision, reason, err := c.limit(ctx, served.Source, cluster, attrs)
	switch {
	case err != nil:
		klog.FromContext(ctx).Error(err, "Authorization failed", "reason", reason)
		return apierrors.NewServiceUnavailable(errUnavailable.Error())
	case decision != authorizer.DecisionDeny:
		return nil
	}
	annotate(ctx, stepMaximal, attrs, decision, reason, nil)
	return responsewriters.ForbiddenStatusError(attrs, denied)
}
