package hostbinding

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/serve"
)

// Target implements virtual.Workspace. The request came by Route and is authorized. A request that creates something may make the
// workspace first, and the namespace in it.
func (e *Endpoint) Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error) {
	ctx := req.Context()
	r, ok := routeFrom(ctx)
	user, authenticated := genericapirequest.UserFrom(ctx)
	if !ok || !authenticated || info.APIGroup != r.info.APIGroup || info.Resource != r.info.Resource || info.Namespace != r.info.Namespace || info.Verb != r.info.Verb {
		return serve.Target{}, apierrors.NewInternalError(errors.New("the request is not the one that was routed"))
	}
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	resource := r.projection.resources[gr]
	if resource == nil {
		return serve.Target{}, apistatus.NotServed()
	}
	cluster, single := logicalcluster.FromContext(ctx)
	many := info.Verb == "list" || info.Verb == "watch" || info.Verb == "deletecollection"
	switch {
	case many && authorization.ControlsHost(user) && (!r.projection.byHost || info.Namespace == ""):
		return e.nothing(req, r, resource)
	case single:
		bound, err := e.boundIn(ctx, cluster, r.projection, gr)
		if err != nil {
			return serve.Target{}, err
		}
		if bound != nil {
			return e.one(ctx, req, r, cluster, bound)
		}
	case r.path.Empty() && resource.Namespaced && info.Namespace == "":
		if info.Verb == "list" || info.Verb == "watch" {
			return e.several(req, r, resource, false)
		}
		refused := apierrors.NewMethodNotSupported(gr, info.Verb)
		refused.ErrStatus.Message = info.Verb + " needs a namespace, because each namespace has its own workspace"
		return serve.Target{}, refused
	}
	return e.absent(req, r, resource)
}

// one is the target of a request for one workspace, which serves bound.
func (e *Endpoint) one(ctx context.Context, req *http.Request, r *route, cluster logicalcluster.Name, bound *catalog.Served) (serve.Target, error) {
	if err := e.Policy.Again(ctx, cluster, bound); err != nil {
		return serve.Target{}, err
	}
	if r.creates(req) && bound.Namespaced && !bound.Terminating && r.projection.create != nil && !dryRun(req) {
		if err := e.ensureNamespace(ctx, cluster, r.info.Namespace); err != nil {
			return serve.Target{}, err
		}
	}
	return serve.Target{Cluster: cluster, Resource: bound.Resource, Owner: bound.Owner, Cataloged: true, While: e.projected(r.projection)}, nil
}

// absent is the target of a request for a workspace that does not exist, or that does not have the API from this very export:
// nothing is there to read, and what is created there is created in a workspace that is made for it, or refused.
func (e *Endpoint) absent(req *http.Request, r *route, resource *catalog.Resource) (serve.Target, error) {
	switch r.info.Verb {
	case "list", "watch":
		// It goes on when the workspace comes up.
		return e.several(req, r, resource, false)
	case "deletecollection":
		return e.nothing(req, r, resource)
	}
	switch {
	case !r.creates(req):
		return serve.Target{}, apierrors.NewNotFound(resource.GroupResource(), r.info.Name)
	case dryRun(req):
		return serve.Target{}, apistatus.New(http.StatusNotFound, metav1.StatusReasonNotFound,
			fmt.Sprintf("workspace %s does not serve %s, and a dry run creates nothing", r.path, resource.GroupResource()))
	}
	cluster, bound, err := e.makeWorkspace(req.Context(), r, resource)
	if err != nil {
		return serve.Target{}, err
	}
	return e.one(req.Context(), req, r, cluster, bound)
}

// nothing is the target of a list, a watch or a deletion of many that finds no objects.
func (e *Endpoint) nothing(req *http.Request, r *route, resource *catalog.Resource) (serve.Target, error) {
	if r.info.Verb != "deletecollection" {
		return e.several(req, r, resource, true)
	}
	return serve.Target{All: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		done := &metav1.Status{Status: metav1.StatusSuccess}
		responsewriters.WriteObjectNegotiated(e.Codecs, negotiation.DefaultEndpointRestrictions, schema.GroupVersion{Version: "v1"}, w, req, http.StatusOK, done, false)
	})}, nil
}

// creates reports whether the request makes an object that is not there.
func (r *route) creates(req *http.Request) bool {
	if r.info.Subresource != "" {
		return false
	}
	return r.info.Verb == "create" || r.info.Verb == "patch" && slices.Contains([]string{string(types.ApplyYAMLPatchType), string(types.ApplyCBORPatchType)}, req.Header.Get("Content-Type"))
}

// dryRun reports whether nothing may be made for the request.
func dryRun(req *http.Request) bool { return req.URL.Query().Has("dryRun") }
