package apiexport

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/virtual"
)

// contentSubresource is what providers need a verb on: apiexports/content.
const contentSubresource = "content"

// Authorize implements virtual.Workspace. It allows or denies; nothing else has a say about a virtual
// endpoint. Consumers have none either: their part was to bind.
func (e *Endpoint) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	endpoint, ok := virtual.FromContext(ctx)
	if !ok || endpoint.Kind != Name {
		return authorizer.DecisionDeny, "the request is for no virtual workspace of an APIExport", nil
	}
	consumer, single := logicalcluster.FromContext(ctx)
	if !single && !logicalcluster.IsWildcard(ctx) {
		return authorizer.DecisionDeny, "the consumer does not exist", nil
	}
	who := attrs.GetUser()
	if who == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	if policy.Master(who, endpoint.Cluster) {
		return authorizer.DecisionAllow, "system:masters may do everything", nil
	}
	decision, reason, err := e.Authorizer.Authorize(ctx, endpoint.Cluster, authorizer.AttributesRecord{
		User:            who,
		Verb:            attrs.GetVerb(),
		APIGroup:        apisv1alpha2.GroupName,
		APIVersion:      apisv1alpha2.SchemeGroupVersion.Version,
		Resource:        exports.Resource,
		Subresource:     contentSubresource,
		Name:            endpoint.Name,
		ResourceRequest: true,
	})
	if decision != authorizer.DecisionAllow {
		if err != nil {
			err = fmt.Errorf("looking for access to the content of the APIExport: %w", err)
		}
		return authorizer.DecisionDeny, "no access to the content of the APIExport: " + reason, err
	}
	if !single || !attrs.IsResourceRequest() {
		return authorizer.DecisionAllow, reason, nil
	}
	shared, err := e.shares(ctx, consumer, endpoint, schema.GroupResource{Group: attrs.GetAPIGroup(), Resource: attrs.GetResource()}, attrs.GetVerb())
	if err != nil {
		return authorizer.DecisionDeny, "the bindings of the consumer could not be read", err
	}
	if !shared {
		return authorizer.DecisionDeny, "the consumer has neither bound the resource from the APIExport nor accepted a permission claim on it for the verb", nil
	}
	return authorizer.DecisionAllow, reason, nil
}
