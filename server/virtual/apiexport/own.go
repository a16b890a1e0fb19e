package apiexport

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// typedTarget fills in a resource of one of root's own exports. Whoever provides it may do in a consumer what administrators may, as with
// all that is exported, but writes no status by which the server decides.
func (e *Endpoint) typedTarget(ctx context.Context, target *serve.Target, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport,
	gr schema.GroupResource, info *genericapirequest.RequestInfo) error {
	reads := slices.Contains(readVerbs, info.Verb)
	switch {
	case info.Subresource != "" && info.Subresource != "status":
		return apistatus.NotServed()
	case info.Subresource == "status" && !reads && e.IsStatusByServer(gr):
		return apierrors.NewForbidden(gr, info.Name, errors.New("only the server writes this status"))
	}
	if target.All {
		target.Resource, target.Filter = typed(gr), active{e.Activity}
		return nil
	}
	served, err := serve.Lookup(ctx, e.Definitions, target.Cluster, gr, func(r *catalog.Resource) bool { return r.Bucket == export.Status.IdentityHash })
	switch {
	case err != nil:
		return apistatus.Internal(err)
	case served == nil:
		return apistatus.NotServed()
	}
	target.Resource, target.Owner, target.Cataloged = served.Resource, served.Owner, true
	if reads {
		return nil
	}
	consumer := target.Cluster
	target.Context = func(ctx context.Context) context.Context {
		audit.AddAuditAnnotation(ctx, AuditWarrant, fmt.Sprintf("%s of APIExport %s:%s", gr, endpoint.Cluster, endpoint.Name))
		return policy.WithWarrant(ctx, consumer)
	}
	return nil
}
