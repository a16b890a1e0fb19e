package apiexport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/apis"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/virtual"
)

// ServeHTTP implements http.Handler. The request is authorized; its context holds endpoint, target and request info.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s := e.serving.Load()
	if s == nil {
		http.Error(w, "the server is starting", http.StatusServiceUnavailable)
		return
	}
	if err := e.serve(s, w, req); err != nil {
		responsewriters.ErrorNegotiated(err, s.codecs(), schema.GroupVersion{Version: "v1"}, w, req)
	}
}

// serve answers req, or returns the API status to answer with.
func (e *Endpoint) serve(s *serving, w http.ResponseWriter, req *http.Request) error {
	ctx := req.Context()
	endpoint, ok := virtual.FromContext(ctx)
	info, known := genericapirequest.RequestInfoFrom(ctx)
	if !ok || !known || endpoint.Kind != virtual.APIExport {
		return apierrors.NewInternalError(errors.New("the request is for no virtual workspace of an APIExport"))
	}
	if strings.TrimSuffix(req.URL.Path, "/") == "/version" {
		if s.Version == nil {
			return apistatus.NotServed()
		}
		responsewriters.WriteRawJSON(http.StatusOK, *s.Version, w)
		return nil
	}
	export, err := e.export(ctx, endpoint)
	switch {
	case err != nil:
		return apistatus.Internal(err)
	case export == nil:
		return apistatus.NotServed()
	case export.Status.IdentityHash == "":
		return apierrors.NewServiceUnavailable("the APIExport has no identity yet, try again")
	}
	if !info.IsResourceRequest {
		return e.serveDiscovery(s, w, req, endpoint, export)
	}
	return e.serveResource(s, w, req, endpoint, export, info)
}

func (e *Endpoint) serveDiscovery(s *serving, w http.ResponseWriter, req *http.Request, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport) error {
	first, _, _ := strings.Cut(strings.Trim(req.URL.Path, "/"), "/")
	if !slices.Contains([]string{"api", "apis", "openapi"}, first) {
		return apistatus.NotServed()
	}
	snapshot, err := e.snapshot(req.Context(), s, endpoint, export)
	if err != nil {
		return apistatus.Internal(err)
	}
	s.discovery.HandlerWithoutBase(snapshot).ServeHTTP(w, req)
	return nil
}

func (e *Endpoint) serveResource(s *serving, w http.ResponseWriter, req *http.Request, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport,
	info *genericapirequest.RequestInfo) error {
	ctx := req.Context()
	gr := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	consumer, single := logicalcluster.FromContext(ctx)
	if !single {
		switch {
		case !logicalcluster.IsWildcard(ctx):
			return apistatus.NotServed()
		case info.Namespace != "":
			return apierrors.NewBadRequest("a request for all consumers cannot name a namespace")
		case info.Verb != "list" && info.Verb != "watch":
			return apierrors.NewMethodNotSupported(gr, info.Verb+" across all consumers")
		}
	}
	if gr == bindings {
		return e.serveBindings(s, w, req, endpoint, info)
	}
	if s.isTyped(endpoint.Cluster, gr) && offers(export, gr) {
		return notImplemented(gr)
	}
	resource, err := e.resource(ctx, s, endpoint, export, gr)
	if err != nil {
		return apistatus.Internal(err)
	}
	if resource == nil || info.Subresource == "scale" {
		return apistatus.NotServed()
	}
	if single {
		// The authorizer has looked, but not for system:masters: nobody writes where nothing is bound.
		use, err := e.consumptionOf(ctx, consumer, endpoint, export, gr)
		if err != nil {
			return apistatus.Internal(err)
		}
		if !use.bound {
			return apistatus.NotServed()
		}
		if use.terminating {
			going := *resource
			going.Terminating = true
			resource = &going
		}
		if use.terminating && info.Verb == "create" {
			return apierrors.NewMethodNotSupported(gr, "create")
		}
	}
	handler, err := s.Schemas.For(resource)
	if err != nil {
		return apistatus.Internal(fmt.Errorf("preparing the schema of %s: %w", gr, err))
	}
	if info.Verb == "watch" {
		var done func()
		h := &held{resource: resource, gr: gr}
		ctx, done = e.open.hold(ctx, endpoint, h)
		defer done()
		// It may have changed since it was looked up.
		if e.outdated(ctx, s, endpoint, h) {
			h.cancel()
		}
	}
	handler.ServeHTTP(w, req.WithContext(storage.WithBucket(ctx, resource.Bucket)))
	return nil
}

// serveBindings serves the apibindings to the export, for reading.
func (e *Endpoint) serveBindings(s *serving, w http.ResponseWriter, req *http.Request, endpoint virtual.Endpoint, info *genericapirequest.RequestInfo) error {
	if info.Subresource != "" {
		return apistatus.NotServed()
	}
	if !slices.Contains([]string{"get", "list", "watch"}, info.Verb) {
		return apierrors.NewMethodNotSupported(bindings, info.Verb)
	}
	ctx := apis.WithBindingsOf(req.Context(), identity.ExportLabelValue(endpoint.Cluster, endpoint.Name))
	if info.Verb == "watch" {
		var done func()
		ctx, done = e.open.hold(ctx, endpoint, &held{gr: bindings})
		defer done()
	}
	s.bindings.ServeHTTP(w, req.WithContext(ctx))
	return nil
}

// outdated reports whether the watch h on endpoint shows something that the export does not offer any more. What is wrong
// with storage shows elsewhere; a watch is no worse for it.
func (e *Endpoint) outdated(ctx context.Context, s *serving, endpoint virtual.Endpoint, h *held) bool {
	export, err := e.export(ctx, endpoint)
	if err != nil || export == nil {
		return err == nil
	}
	if h.resource == nil {
		return false
	}
	now, err := e.resource(ctx, s, endpoint, export, h.gr)
	return err == nil && !h.resource.Same(now)
}

// notImplemented is the answer for resources that typed storage serves.
func notImplemented(gr schema.GroupResource) error {
	return apistatus.NotImplemented(fmt.Sprintf("the virtual workspace of an APIExport does not serve %s, which is not stored as a custom resource: not supported yet", gr))
}
