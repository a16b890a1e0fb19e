package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/emicklei/go-restful/v3"
	crdbuilder "k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/kube-openapi/pkg/builder"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// serveOpenAPI2 answers /openapi/v2: one document for everything. Few clients still ask for it.
func (s *set) serveOpenAPI2(w http.ResponseWriter, req *http.Request) {
	document, err := s.openAPI2()
	if err != nil {
		s.fail(w, req, err)
		return
	}
	document.ServeHTTP(w, req)
}

// openAPI2 returns what serves the document. Building it takes all of a processor for a good while, so that requests for it
// wait for each other.
func (s *set) openAPI2() (http.Handler, error) {
	return s.discovery.config.Cache.openAPI2(s.discovery, s.key, s.owner, func() (http.Handler, int64, error) {
		swagger, err := s.buildOpenAPI2()
		if err != nil {
			return nil, 0, err
		}
		content, err := json.Marshal(swagger)
		if err != nil {
			return nil, 0, fmt.Errorf("encoding the OpenAPI v2 document: %w", err)
		}
		serve := &capture{}
		handler.NewOpenAPIService(swagger).RegisterOpenAPIVersionedService("/openapi/v2", serve)
		return serve.handler, openAPI2Factor * int64(len(content)), nil
	})
}

// capture keeps the handler that the stock service registers.
type capture struct{ handler http.Handler }

// Handle implements common.PathHandler.
func (c *capture) Handle(_ string, handler http.Handler) { c.handler = handler }

func (s *set) buildOpenAPI2() (*spec.Swagger, error) {
	var services []*restful.WebService
	for path, service := range s.discovery.base.services {
		if s.shows(path) {
			services = append(services, service)
		}
	}
	slices.SortFunc(services, func(a, b *restful.WebService) int {
		if a.RootPath() < b.RootPath() {
			return -1
		}
		return 1
	})
	own, err := builder.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices(services), s.discovery.config.OpenAPIV2)
	if err != nil {
		return nil, fmt.Errorf("building the OpenAPI v2 document: %w", err)
	}
	own.Definitions = handler.PruneDefaults(own.Definitions)
	var custom []*spec.Swagger
	for _, resource := range s.snapshot.Resources() {
		if resource.Typed {
			continue
		}
		for _, v := range resource.CRD.Spec.Versions {
			if !v.Served {
				continue
			}
			swagger, err := crdbuilder.BuildOpenAPIV2(resource.CRD, v.Name, crdbuilder.Options{V2: true, IncludeSelectableFields: true})
			if err != nil {
				return nil, fmt.Errorf("building the OpenAPI v2 document of %s: %w", resource.GroupResource(), err)
			}
			swagger.Definitions = handler.PruneDefaults(swagger.Definitions)
			custom = append(custom, swagger)
		}
	}
	merged, err := crdbuilder.MergeSpecs(own, custom...)
	if err != nil {
		return nil, fmt.Errorf("building the OpenAPI v2 document: %w", err)
	}
	return merged, nil
}
