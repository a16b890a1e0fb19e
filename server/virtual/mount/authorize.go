package mount

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/virtual"
)

// Authorize implements virtual.Workspace. It is never asked about impersonation, which is refused. The target decides about all that a user does there.
func (e *Endpoint) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	at, err := where(ctx)
	if err != nil {
		return authorizer.DecisionDeny, err.Error(), nil
	}
	if attrs.GetUser() == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	decision, reason, err := e.Policy.InCluster(virtual.WithoutEndpoint(ctx), at.Cluster, authorizer.AttributesRecord{
		User:            attrs.GetUser(),
		Verb:            "get",
		APIGroup:        workspaces.Group,
		APIVersion:      tenancyv1alpha1.SchemeGroupVersion.Version,
		Resource:        workspaces.Resource,
		Name:            at.Name,
		ResourceRequest: true,
	})
	if err != nil {
		err = fmt.Errorf("looking for the verb get on the mounted Workspace: %w", err)
	}
	if decision != authorizer.DecisionAllow {
		return authorizer.DecisionDeny, "no permission to get the mounted Workspace: " + reason, err
	}
	return decision, reason, err
}
