package virtual

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
)

// Handler serves authorized requests whose context holds an endpoint.
type Handler struct {
	List List
	// Version serves /version.
	Version http.Handler
	// Serve is the last mile.
	Serve *serve.Server
	// Inside serves what enters the cluster in its context; see [Entering].
	Inside http.Handler
}

// ServeHTTP implements http.Handler. The context of the request holds endpoint, target and request info.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	endpoint, ok := FromContext(ctx)
	info, known := genericapirequest.RequestInfoFrom(ctx)
	workspace := h.List.named(endpoint.Kind)
	if !ok || !known || workspace == nil {
		h.Serve.Fail(w, req, apistatus.Internal(errors.New("the request is for no virtual workspace")))
		return
	}
	if forwarding, ok := workspace.(Forwarding); ok {
		forwarding.Forward(w, req, info)
		return
	}
	if entering, ok := workspace.(Entering); ok {
		inside, done, err := entering.Enter(req, info)
		if err != nil {
			h.Serve.Fail(w, req, err)
			return
		}
		if inside != nil {
			defer done()
			h.Inside.ServeHTTP(w, inside)
			return
		}
	}
	if info.IsResourceRequest {
		target, err := workspace.Target(req, info)
		if err != nil {
			h.Serve.Fail(w, req, err)
			return
		}
		h.Serve.Serve(w, req, target)
		return
	}
	first, rest, _ := strings.Cut(strings.Trim(req.URL.Path, "/"), "/")
	switch {
	case first == "version" && rest == "":
		h.Version.ServeHTTP(w, req)
	case slices.Contains([]string{"api", "apis", "openapi"}, first):
		documents, err := workspace.Discovery(ctx)
		if err != nil {
			h.Serve.Fail(w, req, err)
			return
		}
		documents.ServeHTTP(w, req)
	default:
		h.Serve.Fail(w, req, apistatus.NotServed())
	}
}
