package lifecycle

import (
	"context"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// AuditWarrant is the audit annotation that says as what a request is in a workspace: of which type, and in whose name.
const AuditWarrant = "annex.dev/warrant"

// entry is how a request enters a cluster.
type entry struct {
	// owner is whom the caller acts as; nil if rules decide about the caller.
	owner user.Info
	rules []rbacv1.PolicyRule
}

// entryOf returns how requests at a enter their cluster; nil if they do not.
func (e *Endpoint) entryOf(ctx context.Context, a at) (*entry, error) {
	lc, err := e.waits(ctx, a)
	if err != nil || lc == nil {
		return nil, err
	}
	of, err := e.typeOf(ctx, a)
	if err != nil || of == nil {
		return nil, err
	}
	if rules := e.stage.permissions(of); len(rules) > 0 {
		return &entry{rules: rules}, nil
	}
	return &entry{owner: creatorOf(lc)}, nil
}

// Enter implements virtual.Entering. Everything in a cluster but its LogicalCluster is served by the cluster itself.
func (e *Endpoint) Enter(req *http.Request, info *genericapirequest.RequestInfo) (*http.Request, func(), error) {
	ctx := req.Context()
	a, err := e.where(ctx)
	if err != nil {
		return nil, nil, apistatus.Internal(err)
	}
	if a.cluster.Empty() || isLogicalClusters(info.IsResourceRequest, info.APIGroup, info.Resource) {
		return nil, nil, nil
	}
	entry, err := e.entryOf(ctx, a)
	if err != nil {
		return nil, nil, apistatus.Internal(err)
	}
	if entry == nil || entry.owner == nil && len(entry.rules) == 0 {
		return nil, nil, apierrors.NewForbidden(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}, info.Name,
			fmt.Errorf("the workspace does not wait for %s", a.id))
	}
	if entry.owner != nil {
		// What is asked later on, such as whether an update may create, is asked about the creator by the cluster's own rules.
		audit.AddAuditAnnotation(ctx, AuditWarrant, fmt.Sprintf("%s of WorkspaceType %s, as user %s", e.stage.verb, a.id, entry.owner.GetName()))
		ctx = virtual.WithoutEndpoint(genericapirequest.WithUser(ctx, entry.owner))
	} else {
		audit.AddAuditAnnotation(ctx, AuditWarrant, fmt.Sprintf("%s of WorkspaceType %s", e.stage.verb, a.id))
		switch {
		case isReview(info):
			ctx = virtual.WithoutEndpoint(ctx) // the question is asked in the workspace
		case !reads(info):
			ctx = policy.WithWarrant(ctx, a.cluster)
		}
	}
	done := func() {}
	if info.Verb == "watch" {
		ctx, done = e.Watches.Hold(ctx, serve.Condition{Cluster: a.cluster, Holds: func(ctx context.Context) bool {
			lc, err := e.waits(ctx, a)
			return err == nil && lc != nil
		}})
	}
	return req.WithContext(ctx), done, nil
}

// isReview reports whether a request asks who somebody is, or what somebody may do.
func isReview(info *genericapirequest.RequestInfo) bool {
	return info.APIGroup == authenticationv1.GroupName || info.APIGroup == authorizationv1.GroupName
}

// reads reports whether a request changes nothing.
func reads(info *genericapirequest.RequestInfo) bool {
	return info.Verb == "get" || info.Verb == "list" || info.Verb == "watch"
}
