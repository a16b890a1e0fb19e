package lifecycle

import (
	"context"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/catalog"
	clusterrules "github.com/annex-dev/annex/server/admission/logicalcluster"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
)

var (
	// verbs and statusVerbs are what is served of LogicalClusters, and of their status in one cluster.
	verbs       = []string{"get", "list", "watch"}
	statusVerbs = []string{"get", "patch", "update"}
)

// shown is everything that a virtual workspace shows over all clusters.
func shown() *catalog.Resource {
	return &catalog.Resource{Group: logicalClusters.Group, Plural: logicalClusters.Resource, Hash: "typed", Typed: true, Verbs: verbs, StatusVerbs: statusVerbs}
}

// served returns where a request is, once its type exists.
func (e *Endpoint) served(ctx context.Context) (at, error) {
	a, err := e.where(ctx)
	if err != nil {
		return a, apistatus.Internal(err)
	}
	of, err := e.typeOf(ctx, a)
	switch {
	case err != nil:
		return a, apistatus.Internal(err)
	case of == nil:
		return a, apierrors.NewServiceUnavailable("the WorkspaceType " + a.id + " does not exist")
	}
	return a, nil
}

// Discovery implements virtual.Workspace.
func (e *Endpoint) Discovery(ctx context.Context) (http.Handler, error) {
	a, err := e.served(ctx)
	if err != nil {
		return nil, err
	}
	return e.discovery.HandlerWithoutBase(catalog.NewSnapshot(shown()), a.endpoint.Cluster), nil
}

// Target implements virtual.Workspace: the LogicalClusters that wait for the type. Everything else in a cluster has entered it.
func (e *Endpoint) Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error) {
	ctx := req.Context()
	a, err := e.served(ctx)
	if err != nil {
		return serve.Target{}, err
	}
	all := a.cluster.Empty()
	switch {
	case !isLogicalClusters(info.IsResourceRequest, info.APIGroup, info.Resource), info.Subresource != "" && info.Subresource != "status":
		return serve.Target{}, apistatus.NotServed()
	case all && info.Verb != "list" && info.Verb != "watch":
		return serve.Target{}, serve.OneCluster(logicalClusters, info.Verb, "all workspaces")
	case info.Subresource == "" && !slices.Contains(verbs, info.Verb), info.Subresource != "" && !slices.Contains(statusVerbs, info.Verb):
		return serve.Target{}, apierrors.NewMethodNotSupported(logicalClusters, info.Verb)
	}
	target := serve.Target{
		Cluster: a.cluster, All: all, Resource: shown(),
		While: serve.Condition{Cluster: a.endpoint.Cluster, Holds: func(ctx context.Context) bool {
			of, err := e.typeOf(ctx, a)
			return err != nil || of != nil // what is wrong with storage shows elsewhere
		}},
	}
	if reads(info) {
		target.Filter = e.stage.waitingFor(a.id)
		return target, nil
	}
	// No filter: what has released a LogicalCluster does not see it any more. Admission looks again, at what is written.
	switch lc, err := e.waits(ctx, a); {
	case err != nil:
		return serve.Target{}, apistatus.Internal(err)
	case lc == nil || info.Name != corev1alpha1.LogicalClusterName:
		return serve.Target{}, apierrors.NewNotFound(logicalClusters, info.Name)
	}
	target.Context = func(ctx context.Context) context.Context {
		return clusterrules.WithRelease(ctx, e.stage.release(a.id))
	}
	return target, nil
}
