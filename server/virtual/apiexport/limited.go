package apiexport

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
)

// What consumers have bound from another export is not theirs alone to give: the maximal permission policy of that export decides, too, whether a
// provider may reach it by a claim (spec/03 §2.3).

// mayClaim returns an error unless the policy behind source lets the user of the request reach the claimed resource.
func (e *Endpoint) mayClaim(ctx context.Context, a *ask, source catalog.Source) error {
	attrs, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return apistatus.Internal(fmt.Errorf("describing the request: %w", err))
	}
	allowed, err := e.MayClaim(ctx, a.endpoint.Cluster, source, attrs)
	switch {
	case err != nil:
		return apistatus.Internal(fmt.Errorf("asking the maximal permission policy of what is claimed: %w", err))
	case !allowed:
		return responsewriters.ForbiddenStatusError(attrs, "access denied")
	}
	return nil
}

// mayClaimEverywhere is mayClaim for all consumers at once. They may have bound the resource from several exports with one identity.
func (e *Endpoint) mayClaimEverywhere(ctx context.Context, a *ask) error {
	if a.claim.IdentityHash == "" {
		return nil
	}
	scope := client.Scope{}
	if e.IsBound(a.gr) {
		scope.Cluster = logicalcluster.Root
	}
	all, err := client.List[apisv1alpha2.APIExport](ctx, e.Cached, exports, scope)
	if err != nil {
		return apistatus.Internal(fmt.Errorf("finding the APIExports of what is claimed: %w", err))
	}
	for _, export := range all {
		if export.Status.IdentityHash != a.claim.IdentityHash || export.Spec.MaximalPermissionPolicy == nil {
			continue
		}
		if err := e.mayClaim(ctx, a, catalog.Source{Export: client.KeyOf(export)}); err != nil {
			return err
		}
	}
	return nil
}
