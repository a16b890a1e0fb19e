package apiexport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/apis/claims"
	"github.com/annex-dev/annex/apis/apis/identity"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/apis"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// served returns the endpoint of a request and its export, once that can be served.
func (e *Endpoint) served(ctx context.Context) (virtual.Endpoint, *apisv1alpha2.APIExport, error) {
	endpoint, ok := virtual.FromContext(ctx)
	if !ok || endpoint.Kind != Name {
		return endpoint, nil, apierrors.NewInternalError(errors.New("the request is for no virtual workspace of an APIExport"))
	}
	export, err := e.export(ctx, endpoint)
	switch {
	case err != nil:
		return endpoint, nil, apistatus.Internal(err)
	case !lifecycle.CanBeFound(export):
		return endpoint, nil, apistatus.NotServed()
	case !lifecycle.CanBeBound(export):
		return endpoint, nil, apierrors.NewServiceUnavailable("the APIExport has no identity yet, try again")
	}
	return endpoint, export, nil
}

// Discovery implements virtual.Workspace.
func (e *Endpoint) Discovery(ctx context.Context) (http.Handler, error) {
	endpoint, export, err := e.served(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := e.snapshot(ctx, endpoint, export)
	if err == nil {
		snapshot, err = e.withVirtual(ctx, endpoint, export, snapshot)
	}
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	return e.discovery.HandlerWithoutBase(snapshot, endpoint.Cluster), nil
}

// Target implements virtual.Workspace.
func (e *Endpoint) Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error) {
	ctx := req.Context()
	endpoint, export, err := e.served(ctx)
	if err != nil {
		return serve.Target{}, err
	}
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	consumer, single := logicalcluster.FromContext(ctx)
	switch {
	case single:
	case !logicalcluster.IsWildcard(ctx):
		return serve.Target{}, apistatus.NotServed()
	case info.Namespace != "":
		return serve.Target{}, serve.NoNamespace("all consumers")
	case info.Verb != "list" && info.Verb != "watch":
		return serve.Target{}, serve.OneCluster(gr, info.Verb, "all consumers")
	}
	target := serve.Target{Cluster: consumer, All: !single}
	if target.All {
		if err := e.resumes(req, info, e.Activity.Switched()); err != nil {
			return serve.Target{}, err
		}
		target.Covers = e.covers(endpoint)
		target.Workspace = func(cluster logicalcluster.Name) string { return e.shown(ctx, endpoint, cluster) }
	}
	if a := e.asks(endpoint, export, gr, info); a != nil {
		if err := e.claimTarget(ctx, &target, a); err != nil {
			return serve.Target{}, err
		}
		if target.Filter != nil {
			// After the filter: it answers by all that happened before.
			changed, _ := e.answers.since(client.Key{Cluster: endpoint.Cluster, Name: endpoint.Name})
			if err := e.resumes(req, info, changed); err != nil {
				return serve.Target{}, err
			}
		}
		target.While = serve.Condition{Cluster: endpoint.Cluster, Holds: func(ctx context.Context) bool {
			if target.Cataloged {
				return e.stillClaimed(ctx, a, nil) // the catalog of the consumer says what becomes of the resource
			}
			return e.stillClaimed(ctx, a, target.Resource)
		}}
		return target, nil
	}
	if v := virtualStorage(export, gr); v != nil {
		if !single {
			return serve.Target{}, apierrors.NewBadRequest(acrossConsumers)
		}
		return e.virtualTarget(req, info, export, gr, consumer)
	}
	if gr == bindings {
		err = e.bindingsTarget(&target, endpoint, info)
	} else {
		err = e.resourceTarget(ctx, &target, endpoint, export, gr, info)
	}
	target.While = serve.Condition{Cluster: endpoint.Cluster, Holds: func(ctx context.Context) bool {
		return e.stillOffered(ctx, endpoint, target.Resource)
	}}
	return target, err
}

// asks returns the request as one for a claimed resource; nil if the export does not claim it.
func (e *Endpoint) asks(endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, gr schema.GroupResource, info *genericapirequest.RequestInfo) *ask {
	some, keys := claimsOn(export, gr, info.Verb)
	if !some {
		return nil
	}
	claim := claims.Of(export, apisv1alpha2.GroupResource{Group: gr.Group, Resource: gr.Resource})[0]
	return &ask{endpoint: endpoint, export: export, gr: gr, info: info, claim: claim, keys: keys}
}

// resourceTarget fills in what the export offers as gr.
func (e *Endpoint) resourceTarget(ctx context.Context, target *serve.Target, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport,
	gr schema.GroupResource, info *genericapirequest.RequestInfo) error {
	if e.isTyped(endpoint.Cluster, gr) && offers(export, gr) {
		return e.typedTarget(ctx, target, endpoint, export, gr, info)
	}
	resource, err := e.resource(ctx, endpoint, export, gr)
	if err != nil {
		return apistatus.Internal(err)
	}
	if resource == nil || info.Subresource == "scale" {
		return apistatus.NotServed()
	}
	if !target.All {
		// The authorizer has looked, but not for system:masters: nobody writes where nothing is bound.
		use, err := e.consumptionOf(ctx, target.Cluster, endpoint, export, gr)
		if err != nil {
			return apistatus.Internal(err)
		}
		if !use.bound {
			return apistatus.NotServed()
		}
		if !slices.Contains(readVerbs, info.Verb) {
			if resource, err = e.writable(ctx, endpoint, export, resource, use.schema, info); err != nil {
				return err
			}
		}
		if use.terminating {
			going := *resource
			going.Terminating = true
			resource = &going
		}
		target.Owner = use.owner
	}
	target.Resource = resource
	if target.All {
		target.Filter = active{e.Activity}
	}
	return nil
}

// writable returns resource, as export offers it, for a request that writes in a consumer that has bound the schema with the UID. The consumer may
// have to wait for the schema that the export names now.
func (e *Endpoint) writable(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport, resource *catalog.Resource, uid string,
	info *genericapirequest.RequestInfo) (*catalog.Resource, error) {
	bound, known, err := e.Definitions.BoundResource(ctx, resource.GroupResource(), uid, export.Status.IdentityHash)
	if err != nil {
		return nil, apistatus.Internal(err)
	}
	deletes := info.Verb == "delete" || info.Verb == "deletecollection"
	switch {
	case !known:
		return resource, nil
	case bound.Namespaced != resource.Namespaced && deletes:
		return resource, nil
	case bound.Namespaced != resource.Namespaced: // nobody in the consumer could name what is created in the other scope
		return nil, apistatus.NotServed()
	}
	written, stored, err := e.resourceFor(ctx, endpoint, export, resource, bound)
	switch {
	case err != nil:
		return nil, apistatus.Internal(err)
	case written == nil && deletes: // what can be read can go
		return resource, nil
	case written == nil:
		return nil, apierrors.NewConflict(resource.GroupResource(), info.Name, fmt.Errorf("the workspace stores objects in version %s, which the schema that the APIExport names does not have", stored))
	}
	return written, nil
}

// bindingsTarget fills in the apibindings to the export, for reading.
func (e *Endpoint) bindingsTarget(target *serve.Target, endpoint virtual.Endpoint, info *genericapirequest.RequestInfo) error {
	if info.Subresource != "" {
		return apistatus.NotServed()
	}
	if !slices.Contains([]string{"get", "list", "watch"}, info.Verb) {
		return apierrors.NewMethodNotSupported(bindings, info.Verb)
	}
	label := identity.ExportLabelValue(endpoint.Cluster, endpoint.Name)
	all := target.All
	target.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx := apis.WithBindingsOf(req.Context(), label)
		if all {
			ctx = storage.WithFilter(ctx, active{e.Activity})
		}
		e.bindings.ServeHTTP(w, req.WithContext(ctx))
	})
	return nil
}

// stillOffered reports whether the export exists and offers resource as it did; nil stands for apibindings. What is wrong with
// storage shows elsewhere; a watch is no worse for it.
func (e *Endpoint) stillOffered(ctx context.Context, endpoint virtual.Endpoint, resource *catalog.Resource) bool {
	export, err := e.export(ctx, endpoint)
	if err != nil || export == nil {
		return err != nil
	}
	if resource == nil {
		return true
	}
	if resource.Typed {
		return offers(export, resource.GroupResource())
	}
	now, err := e.resource(ctx, endpoint, export, resource.GroupResource())
	return err != nil || resource.Same(now)
}
