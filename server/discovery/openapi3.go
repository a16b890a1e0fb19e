package discovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emicklei/go-restful/v3"
	"github.com/munnerz/goautoneg"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/runtime/schema"
	componentversion "k8s.io/component-base/version"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"

	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/server/discovery/openapi"
)

// document3 is the OpenAPI v3 document of one path.
type document3 struct {
	// etag is known without building the document.
	etag string
	// json is the document of what the process itself serves; nil for one that has custom resources.
	json []byte
	// build returns a document that has custom resources.
	build func() (*openapi.Document, error)
}

// content returns a reader of the document as JSON or protobuf. What is kept of it, cache keeps for owner.
func (doc *document3) content(asProtobuf bool, cache *Cache, owner string) (io.ReadSeeker, error) {
	// kept returns a part of a document of so many bytes in protobuf.
	kept := func(size int64) func(hash string, convert func() (string, error)) (string, error) {
		return func(hash string, convert func() (string, error)) (string, error) {
			return cache.protobuf3(hash, owner, func() (message string, err error) {
				room.Large(int(size), func() { message, err = convert() })
				return message, err
			})
		}
	}
	switch {
	case doc.json != nil && asProtobuf:
		content, err := kept(int64(len(doc.json)))(doc.etag, func() (string, error) {
			content, err := handler3.ToV3ProtoBinary(doc.json)
			return string(content), err
		})
		if err != nil {
			return nil, fmt.Errorf("converting an OpenAPI document: %w", err)
		}
		return strings.NewReader(content), nil
	case doc.json != nil:
		return bytes.NewReader(doc.json), nil
	}
	built, err := doc.build()
	if err != nil {
		return nil, err
	}
	content := built.JSON()
	if asProtobuf {
		if content, err = built.Protobuf(kept(content.Size())); err != nil {
			return nil, err
		}
	}
	return content.NewReader(), nil
}

// serveOpenAPI3Index answers /openapi/v3: where the document of each path is.
func (s *set) serveOpenAPI3Index(w http.ResponseWriter, req *http.Request) {
	docs, err := s.documents3()
	if err != nil {
		s.fail(w, req, err)
		return
	}
	index := handler3.OpenAPIV3Discovery{Paths: map[string]handler3.OpenAPIV3DiscoveryGroupVersion{}}
	for path, doc := range docs {
		where := url.URL{Path: "/openapi/v3/" + path, RawQuery: url.Values{"hash": {doc.etag}}.Encode()}
		index.Paths[path] = handler3.OpenAPIV3DiscoveryGroupVersion{ServerRelativeURL: where.String()}
	}
	content, err := json.Marshal(index)
	if err != nil {
		s.fail(w, req, fmt.Errorf("encoding the index of OpenAPI documents: %w", err))
		return
	}
	sum := sha256.Sum256(content)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Etag", strconv.Quote(hex.EncodeToString(sum[:])))
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(content))
}

// serveOpenAPI3 answers /openapi/v3/<path>.
func (s *set) serveOpenAPI3(w http.ResponseWriter, req *http.Request, path string) {
	docs, err := s.documents3()
	if err != nil {
		s.fail(w, req, err)
		return
	}
	doc, ok := docs[path]
	if !ok {
		s.notFound(w, req)
		return
	}
	w.Header().Set("Vary", "Accept")
	asProtobuf, ok := acceptsOpenAPI(req.Header.Get("Accept"))
	if !ok {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	content, err := doc.content(asProtobuf, s.discovery.config.Cache, s.owner)
	if err != nil {
		s.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if asProtobuf {
		w.Header().Set("Content-Type", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf")
	}
	w.Header().Set("Etag", strconv.Quote(doc.etag))
	if req.URL.Query().Get("hash") == doc.etag {
		// The URL names this very content, which therefore never changes.
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", time.Now().AddDate(1, 0, 0).Format(time.RFC1123))
	}
	http.ServeContent(w, req, "", time.Time{}, content)
}

// acceptsOpenAPI says which of the two encodings of a document the client prefers; false when it takes neither.
func acceptsOpenAPI(header string) (asProtobuf, ok bool) {
	if header == "" {
		return false, true
	}
	for _, clause := range goautoneg.ParseAccept(header) {
		if clause.Type != "application" && clause.Type != "*" {
			continue
		}
		switch clause.SubType {
		case "json", "*":
			return false, true
		case "com.github.proto-openapi.spec.v3.v1.0+protobuf", "com.github.proto-openapi.spec.v3@v1.0+protobuf":
			return true, true
		}
	}
	return false, false
}

// documents3 returns the document of every path that the set serves.
func (s *set) documents3() (map[string]*document3, error) {
	docs := map[string]*document3{}
	own, err := s.discovery.baseDocuments3()
	if err != nil {
		return nil, err
	}
	for path, doc := range own {
		if s.shows(path) {
			docs[path] = doc
		}
	}
	custom := map[string][]*catalog.Resource{}
	for _, resource := range s.snapshot.Resources() {
		if resource.Typed {
			continue
		}
		for _, v := range resource.CRD.Spec.Versions {
			if v.Served {
				path := "apis/" + resource.Group + "/" + v.Name
				custom[path] = append(custom[path], resource)
			}
		}
	}
	for path, resources := range custom {
		docs[path] = s.discovery.customDocument3(path, docs[path], resources, s.owner)
	}
	return docs, nil
}

// shows reports whether the base document at path belongs to the set: its group and version is served by the process.
func (s *set) shows(path string) bool {
	segments := strings.Split(path, "/")
	var gv schema.GroupVersion
	switch {
	case segments[0] == "api" && len(segments) == 2:
		gv.Version = segments[1]
	case segments[0] == "apis" && len(segments) >= 2:
		gv.Group = segments[1]
		if len(segments) == 3 {
			gv.Version = segments[2]
		}
	default:
		return s.key.base
	}
	g := s.group(gv.Group)
	if g == nil {
		return false
	}
	for _, v := range visible(*s.discovery.base.group(gv.Group), s.snapshot, s.key.base, s.discovery.config.IsBound).versions {
		if gv.Version == "" || v.name == gv.Version {
			return true
		}
	}
	return false
}

func (b *base) group(name string) *apiGroup {
	for i := range b.groups {
		if b.groups[i].name == name {
			return &b.groups[i]
		}
	}
	return &apiGroup{name: name}
}

// baseDocuments3 returns the documents of what the process serves, built once.
func (d *Discovery) baseDocuments3() (map[string]*document3, error) {
	b := d.base
	b.openAPI3Once.Do(func() {
		b.openAPI3 = map[string]*document3{}
		for path := range b.services {
			spec, err := d.baseSpec3(path)
			if err != nil {
				b.openAPI3Err = err
				return
			}
			content, err := json.Marshal(spec)
			if err != nil {
				b.openAPI3Err = fmt.Errorf("encoding the OpenAPI document of %s: %w", path, err)
				return
			}
			sum := sha256.Sum256(content)
			b.openAPI3[path] = &document3{etag: strings.ToUpper(hex.EncodeToString(sum[:])), json: content}
		}
	})
	return b.openAPI3, b.openAPI3Err
}

// baseSpec3 builds what the process serves at path. It is not kept: parsed it takes several times the room of its JSON.
func (d *Discovery) baseSpec3(path string) (*spec3.OpenAPI, error) {
	services := restfuladapter.AdaptWebServices([]*restful.WebService{d.base.services[path]})
	spec, err := builder3.BuildOpenAPISpecFromRoutes(services, d.config.OpenAPIV3)
	if err != nil {
		return nil, fmt.Errorf("building the OpenAPI document of %s: %w", path, err)
	}
	keepOwnKinds(spec, path)
	return spec, nil
}

// keepOwnKinds takes kinds of other groups from the types that every group has, lest each document lists all groups.
func keepOwnKinds(spec *spec3.OpenAPI, path string) {
	const extension = "x-kubernetes-group-version-kind"
	segments := strings.Split(path, "/")
	if spec.Components == nil || len(segments) < 2 {
		return
	}
	group, version := "", segments[len(segments)-1]
	if len(segments) == 3 {
		group = segments[1]
	}
	for _, model := range spec.Components.Schemas {
		if model == nil {
			continue
		}
		kinds, _ := model.Extensions[extension].([]any)
		own := slices.DeleteFunc(slices.Clone(kinds), func(kind any) bool {
			k, _ := kind.(map[string]any)
			shared := k["kind"] == "WatchEvent" || k["kind"] == "DeleteOptions"
			return shared && (k["group"] != group || k["version"] != version) && (k["group"] != "" || k["version"] != "v1")
		})
		if len(own) > 0 && len(own) < len(kinds) {
			model.Extensions = maps.Clone(model.Extensions)
			model.Extensions[extension] = own
		}
	}
}

// customDocument3 returns the document of the custom resources at path, together with what the process itself serves there. Its parts are
// kept for owner.
func (d *Discovery) customDocument3(path string, own *document3, resources []*catalog.Resource, owner string) *document3 {
	hash := sha256.New()
	fmt.Fprintln(hash, path, componentversion.Get().GitVersion)
	if own != nil {
		fmt.Fprintln(hash, own.etag)
	}
	for _, resource := range resources {
		fmt.Fprintln(hash, resource.Plural, resource.Hash)
	}
	etag := strings.ToUpper(hex.EncodeToString(hash.Sum(nil)))
	version := path[strings.LastIndex(path, "/")+1:]
	return &document3{etag: etag, build: func() (*openapi.Document, error) {
		var parts []*openapi.Part
		if own != nil {
			part, err := d.config.Cache.part3(own.etag, owner, func() (*openapi.Part, error) { return openapi.ParsePart(own.json) })
			if err != nil {
				return nil, fmt.Errorf("reading the OpenAPI document of %s: %w", path, err)
			}
			parts = append(parts, part)
		}
		for _, resource := range resources {
			part, err := d.config.Cache.part3(resource.Hash+" "+version, owner, func() (*openapi.Part, error) { return customPart3(resource, version) })
			if err != nil {
				return nil, fmt.Errorf("building the OpenAPI document of %s: %w", resource.GroupResource(), err)
			}
			parts = append(parts, part)
		}
		merged, err := openapi.Merge(parts...)
		if err != nil {
			return nil, fmt.Errorf("building the OpenAPI document of %s: %w", path, err)
		}
		return merged, nil
	}}
}

// customPart3 returns what a version of a custom resource adds to a document.
func customPart3(resource *catalog.Resource, version string) (part *openapi.Part, err error) {
	room.Large(resource.CRD.Size(), func() {
		var spec *spec3.OpenAPI
		if spec, err = builder.BuildOpenAPIV3(resource.CRD, version, builder.Options{IncludeSelectableFields: true}); err == nil {
			part, err = openapi.NewPart(spec)
		}
	})
	return part, err
}
