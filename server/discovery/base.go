package discovery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/emicklei/go-restful/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// base is what the process serves in every cluster.
type base struct {
	groups []apiGroup
	// services maps a path such as "apis/rbac.authorization.k8s.io/v1" to who serves it, for OpenAPI.
	services map[string]*restful.WebService

	openAPI3Once sync.Once
	openAPI3     map[string]*document3
	openAPI3Err  error
}

// apiGroup is one API group with its versions, the preferred one first.
type apiGroup struct {
	name     string
	versions []apiVersion
}

// apiVersion is one version with its resources and subresources, the latter named "widgets/status".
type apiVersion struct {
	name      string
	resources []metav1.APIResource
}

// readBase asks the container itself, which knows all verbs, short names and storage versions of what is installed in it.
func readBase(container *restful.Container) (*base, error) {
	b := &base{services: map[string]*restful.WebService{}}
	found := map[schema.GroupVersion][]metav1.APIResource{}
	var order []string
	for _, service := range container.RegisteredWebServices() {
		path := strings.Trim(service.RootPath(), "/")
		segments := strings.Split(path, "/")
		var gv schema.GroupVersion
		switch {
		case segments[0] == "api" && len(segments) == 2:
			gv.Version = segments[1]
		case segments[0] == "apis" && len(segments) == 3:
			gv = schema.GroupVersion{Group: segments[1], Version: segments[2]}
		case segments[0] == "apis" && len(segments) == 2:
			// Known before its versions are: groups stand in the order in which they were installed.
			gv.Group = segments[1]
		default:
			continue
		}
		b.services[path] = service
		if !slices.Contains(order, gv.Group) {
			order = append(order, gv.Group)
		}
		if gv.Version == "" {
			continue
		}
		list := metav1.APIResourceList{}
		if err := ask(container, "/"+path, &list); err != nil {
			return nil, err
		}
		found[gv] = list.APIResources
	}
	for _, name := range order {
		versions := []string{"v1"}
		if name != "" {
			doc := metav1.APIGroup{}
			if err := ask(container, "/apis/"+name, &doc); err != nil {
				return nil, err
			}
			versions = versions[:0]
			for _, version := range doc.Versions {
				versions = append(versions, version.Version)
			}
		}
		g := apiGroup{name: name}
		for _, version := range versions {
			g.versions = append(g.versions, apiVersion{name: version, resources: found[schema.GroupVersion{Group: name, Version: version}]})
		}
		b.groups = append(b.groups, g)
	}
	return b, nil
}

// ask decodes what the container answers at path.
func ask(container *restful.Container, path string, into any) error {
	req, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	req.Header.Set("Accept", "application/json")
	answer := &recorder{header: http.Header{}, status: http.StatusOK}
	container.Dispatch(answer, req)
	if answer.status != http.StatusOK {
		return fmt.Errorf("asking for %s: status %d", path, answer.status)
	}
	if err := json.Unmarshal(answer.body.Bytes(), into); err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	return nil
}

// recorder is a response that is kept in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(data []byte) (int, error) { return r.body.Write(data) }
