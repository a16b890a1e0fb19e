package serve

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lasting"
	"github.com/annex-dev/annex/registry/room"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/writecost"
	"github.com/annex-dev/annex/server/apistatus"
)

// Schemas gives the handler that serves a custom resource of a cluster; the name is empty for all clusters.
type Schemas interface {
	For(resource *catalog.Resource, cluster logicalcluster.Name) (http.Handler, error)
}

// Config is what a Server needs. Everything is required.
type Config struct {
	Watches *Watches
	Catalog Catalog
	// Inactive reports, from memory, whether a cluster is switched off.
	Inactive func(cluster logicalcluster.Name) bool
	Schemas  Schemas
	// API serves the resources of the process's own groups.
	API http.Handler
	// Filters reports whether requests of API for a resource are answered from a storage that asks filters.
	Filters func(gr schema.GroupResource) bool
	// Plain reports whether objects of a resource of API have no form in protobuf; nil if all have one.
	Plain func(gr schema.GroupResource) bool
	// Codecs encode errors.
	Codecs runtime.NegotiatedSerializer
}

// Server serves requests whose target is known. It is safe for concurrent use.
type Server struct {
	config  Config
	advised *advised
}

// New returns a server of targets.
func New(c Config) *Server { return &Server{config: c, advised: newAdvised(clock.RealClock{})} }

// Serve answers an authorized request for objects from target.
func (s *Server) Serve(w http.ResponseWriter, req *http.Request, target Target) {
	if err := s.serve(w, req, target); err != nil {
		s.Fail(w, req, err)
	}
}

// Fail answers req with err. An error that asks the client to come again counts wherever it is in the chain of err.
func (s *Server) Fail(w http.ResponseWriter, req *http.Request, err error) {
	responsewriters.ErrorNegotiated(apistatus.Of(err), s.config.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
}

// serve answers req, or returns what to answer with.
func (s *Server) serve(w http.ResponseWriter, req *http.Request, target Target) error {
	info, ok := genericapirequest.RequestInfoFrom(req.Context())
	if !ok {
		return apistatus.Internal(errors.New("the request has no RequestInfo"))
	}
	ctx, err := target.context(req.Context())
	if err != nil {
		return err
	}
	if target.Resource != nil && target.Resource.Terminating {
		if info.Verb == "create" {
			return apierrors.NewMethodNotSupported(target.Resource.GroupResource(), info.Verb)
		}
		// Server-side apply creates, too.
		ctx = registryschema.WithTerminating(ctx)
	}
	handler, err := s.handler(target)
	if err != nil {
		return apistatus.Internal(err)
	}
	if info.Verb == "watch" {
		if target.Handler == nil && !target.Cataloged && target.While.Holds == nil {
			return apistatus.Internal(errors.New("nothing would end a watch of the target of a request"))
		}
		var done func()
		ctx, done = s.hold(ctx, target, info)
		defer done()
	}
	if writes(info) {
		// The seat of the request is taken while handler runs, so handler must not leave work behind.
		var end func()
		ctx, end = lasting.Context(ctx)
		defer end()
	}
	req = req.WithContext(ctx)
	req = s.acceptable(req, info)
	s.advised.advise(req, info)
	where, req, err := newWorkspaces(req, info, target, s.config.Codecs)
	if err != nil {
		return err
	}
	switch info.Verb {
	case "list":
		if where != nil || whole(req, s.config.Codecs) {
			req = req.WithContext(room.Whole(ctx))
		}
		answer := func(w http.ResponseWriter) { handler.ServeHTTP(w, req) }
		if where != nil {
			where.list(w, answer)
			return nil
		}
		collect(w, answer)
		return nil
	case "watch":
		if where != nil {
			w = where.watch(w)
		}
	case "create", "update", "patch":
		req = writecost.Remember(req, s.config.Codecs)
	}
	handler.ServeHTTP(w, req)
	return nil
}

// writes reports whether a stock handler works on the request in a goroutine that it does not always wait for.
func writes(info *genericapirequest.RequestInfo) bool {
	switch info.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// handler returns who serves the target.
func (s *Server) handler(target Target) (http.Handler, error) {
	switch {
	case target.Filter != nil && (target.Handler != nil || target.Resource != nil && target.Resource.Typed && !s.config.Filters(target.Resource.GroupResource())):
		return nil, errors.New("the target of a request has a filter that nobody would ask")
	case target.Handler != nil:
		return target.Handler, nil
	case target.Resource == nil:
		return nil, errors.New("the target of a request has no resource")
	case target.Resource.Virtual:
		return nil, fmt.Errorf("the target of a request is %s, which is not stored here", target.Resource.GroupResource())
	case target.Resource.Typed:
		return s.config.API, nil
	}
	handler, err := s.config.Schemas.For(target.Resource, target.Cluster)
	if err != nil {
		return nil, fmt.Errorf("preparing the schema of %s: %w", target.Resource.GroupResource(), err)
	}
	return handler, nil
}
