package apiresourceschema

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
)

var verbs = []string{"get", "list", "watch"}

// shown is everything that the virtual workspace shows.
func shown() *catalog.Resource {
	return &catalog.Resource{Group: schemas.Group, Plural: schemas.Resource, Hash: "typed", Typed: true, Verbs: verbs}
}

// Discovery implements virtual.Workspace.
func (e *Endpoint) Discovery(ctx context.Context) (http.Handler, error) {
	cluster, _, err := consumer(ctx)
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	return e.discovery.HandlerWithoutBase(catalog.NewSnapshot(shown()), cluster), nil
}

// Target implements virtual.Workspace.
func (e *Endpoint) Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error) {
	ctx := req.Context()
	cluster, _, err := consumer(ctx)
	switch {
	case err != nil:
		return serve.Target{}, apistatus.Internal(err)
	case (schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}) != schemas, info.Subresource != "":
		return serve.Target{}, apistatus.NotServed()
	case !slices.Contains(verbs, info.Verb):
		return serve.Target{}, apierrors.NewMethodNotSupported(schemas, info.Verb)
	}
	if _, err := e.Fresh(ctx); err != nil {
		return serve.Target{}, apistatus.Internal(err)
	}
	have, changed, err := e.boundIn(ctx, cluster)
	if err != nil {
		return serve.Target{}, apistatus.Internal(err)
	}
	if info.Verb == "get" {
		provider, found := have.where(info.Name)
		if !found {
			return serve.Target{}, apierrors.NewNotFound(schemas, info.Name)
		}
		return serve.Target{Cluster: provider, Resource: shown(), Filter: have}, nil
	}
	if info.Verb == "watch" && resumes(req) < changed {
		return serve.Target{}, apierrors.NewResourceExpired("what the workspace has bound may have changed since: list again")
	}
	return serve.Target{
		All: true, Resource: shown(), Filter: have,
		While:  e.sameActivity(cluster),
		Covers: serve.Condition{Cluster: cluster, Holds: func(ctx context.Context) bool { return e.stillBound(ctx, cluster, have) }},
	}, nil
}

// resumes returns the version from which a watch goes on; the greatest number if it begins with all that exists, or if storage refuses it.
func resumes(req *http.Request) uint64 {
	query := req.URL.Query()
	initial, _ := strconv.ParseBool(query.Get("sendInitialEvents"))
	version, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	if initial || err != nil || version == 0 {
		return ^uint64(0)
	}
	return version
}

// sameActivity is the condition of watches that the consumer is not switched off or on.
func (e *Endpoint) sameActivity(consumer logicalcluster.Name) serve.Condition {
	before := e.Inactive(consumer)
	return serve.Condition{Cluster: consumer, Holds: func(context.Context) bool { return e.Inactive(consumer) == before }}
}

// stillBound reports whether consumer has bound what it had. What is wrong with storage shows elsewhere.
func (e *Endpoint) stillBound(ctx context.Context, consumer logicalcluster.Name, had bound) bool {
	now, _, err := e.boundIn(ctx, consumer)
	return err != nil || now.equal(had)
}
