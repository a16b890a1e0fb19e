package apiresourceschema

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

var errNoEndpoint = errors.New("the request is for no virtual workspace of APIResourceSchemas, or not for one cluster")

// consumer returns the cluster that a request is for.
func consumer(ctx context.Context) (logicalcluster.Name, virtual.Endpoint, error) {
	endpoint, ok := virtual.FromContext(ctx)
	cluster, single := logicalcluster.FromContext(ctx)
	if !ok || endpoint.Kind != Name || !single || endpoint.Cluster != cluster {
		return "", endpoint, errNoEndpoint
	}
	return cluster, endpoint, nil
}

// Authorize implements virtual.Workspace.
func (e *Endpoint) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	cluster, endpoint, err := consumer(ctx)
	if err != nil {
		return authorizer.DecisionDeny, err.Error(), nil
	}
	if attrs.GetUser() == nil {
		return authorizer.DecisionDeny, "the request has no user", nil
	}
	// A URL may name the consumer twice.
	named, found, err := e.Resolver.Resolve(ctx, logicalcluster.Path(endpoint.Name))
	if err != nil || !found || named != cluster {
		return authorizer.DecisionDeny, "the URL names two clusters", err
	}
	decision, reason, err := e.Policy.InCluster(virtual.WithoutEndpoint(ctx), cluster, authorizer.AttributesRecord{
		User:            attrs.GetUser(),
		Verb:            "get",
		APIGroup:        bindings.Group,
		APIVersion:      apisv1alpha2.SchemeGroupVersion.Version,
		Resource:        bindings.Resource,
		ResourceRequest: true,
	})
	if err != nil {
		err = fmt.Errorf("looking for the verb get on APIBindings: %w", err)
	}
	if decision != authorizer.DecisionAllow {
		return authorizer.DecisionDeny, "no permission to get APIBindings of the consumer: " + reason, err
	}
	return decision, reason, err
}
