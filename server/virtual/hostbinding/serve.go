package hostbinding

import (
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
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authorization"
)

// ServeHTTP implements http.Handler. The request came by Route and is authorized.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := e.serve(w, req); err != nil {
		responsewriters.ErrorNegotiated(err, e.serving.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
	}
}

// serve answers req, or returns the API status to answer with.
func (e *Endpoint) serve(w http.ResponseWriter, req *http.Request) error {
	ctx := req.Context()
	r, ok := routeFrom(ctx)
	info, known := genericapirequest.RequestInfoFrom(ctx)
	user, authenticated := genericapirequest.UserFrom(ctx)
	if !ok || !known || !authenticated || info.APIGroup != r.info.APIGroup || info.Resource != r.info.Resource || info.Namespace != r.info.Namespace || info.Verb != r.info.Verb {
		return apierrors.NewInternalError(errors.New("the request is not the one that was routed"))
	}
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	resource := r.projection.resources[gr]
	if resource == nil {
		return apistatus.NotServed()
	}
	cluster, single := logicalcluster.FromContext(ctx)
	many := info.Verb == "list" || info.Verb == "watch" || info.Verb == "deletecollection"
	switch {
	case many && authorization.ControlsHost(user) && (!r.projection.byHost || info.Namespace == ""):
		return e.serveNothing(w, req, r, resource)
	case single:
		bound, err := e.boundIn(ctx, cluster, r.projection, gr)
		if err != nil {
			return err
		}
		if bound != nil {
			return e.serveOne(w, req, r, cluster, bound)
		}
	case r.path.Empty() && resource.Namespaced && info.Namespace == "":
		if info.Verb == "list" || info.Verb == "watch" {
			return e.serveMany(w, req, r, resource, false)
		}
		refused := apierrors.NewMethodNotSupported(gr, info.Verb)
		refused.ErrStatus.Message = info.Verb + " needs a namespace, because each namespace has its own workspace"
		return refused
	}
	return e.serveAbsent(w, req, r, resource)
}

// serveOne serves a request for one workspace, which serves bound.
func (e *Endpoint) serveOne(w http.ResponseWriter, req *http.Request, r *route, cluster logicalcluster.Name, bound *catalog.Resource) error {
	ctx := logicalcluster.WithCluster(req.Context(), cluster)
	if bound.Terminating && r.info.Verb == "create" {
		return apierrors.NewMethodNotSupported(bound.GroupResource(), "create")
	}
	if r.creates(req) && bound.Namespaced && r.projection.create != nil && !dryRun(req) {
		if err := e.ensureNamespace(ctx, cluster, r.info.Namespace); err != nil {
			return err
		}
	}
	handler, err := e.serving.Schemas.For(bound)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("preparing the schema of %s: %w", bound.GroupResource(), err))
	}
	if r.info.Verb == "watch" {
		var done func()
		ctx, done = e.hold(ctx, r.projection)
		defer done()
		var forget func()
		ctx, forget = e.Catalog.Hold(ctx, cluster, bound)
		defer forget()
		if u, ok := genericapirequest.UserFrom(ctx); !ok || !policy.Master(u, cluster) {
			var leave func()
			ctx, leave = e.Clusters.Hold(ctx, cluster)
			defer leave()
		}
	}
	handler.ServeHTTP(w, req.WithContext(storage.WithBucket(ctx, bound.Bucket)))
	return nil
}

// serveAbsent serves a request for a workspace that does not exist, or that does not have the API from this very export:
// nothing is there to read, and what is created there is created in a workspace that is made for it, or refused.
func (e *Endpoint) serveAbsent(w http.ResponseWriter, req *http.Request, r *route, resource *catalog.Resource) error {
	switch r.info.Verb {
	case "list", "watch":
		// It goes on when the workspace comes up.
		return e.serveMany(w, req, r, resource, false)
	case "deletecollection":
		return e.serveNothing(w, req, r, resource)
	}
	switch {
	case !r.creates(req):
		return apierrors.NewNotFound(resource.GroupResource(), r.info.Name)
	case dryRun(req):
		return apistatus.New(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("workspace %s does not serve %s, and a dry run creates nothing", r.path, resource.GroupResource()))
	}
	cluster, bound, err := e.makeWorkspace(req.Context(), r, resource)
	if err != nil {
		return err
	}
	return e.serveOne(w, req, r, cluster, bound)
}

// serveNothing serves a list, a watch or a deletion of many as if there were no objects.
func (e *Endpoint) serveNothing(w http.ResponseWriter, req *http.Request, r *route, resource *catalog.Resource) error {
	if r.info.Verb != "deletecollection" {
		return e.serveMany(w, req, r, resource, true)
	}
	done := &metav1.Status{Status: metav1.StatusSuccess}
	responsewriters.WriteObjectNegotiated(e.serving.Codecs, negotiation.DefaultEndpointRestrictions, schema.GroupVersion{Version: "v1"}, w, req, http.StatusOK, done, false)
	return nil
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
