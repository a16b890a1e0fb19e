package schema

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lasting"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/writecost"
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 2 * time.Minute

// widgetsA is a schema with all that one can have: defaults, rules, subresources, columns, selectable fields, two versions.
const widgetsA = `
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wd], categories: [all]}
  conversion: {strategy: None}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color}
    selectableFields: [{jsonPath: .spec.color}]
    schema: &schema
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: "self.replicas <= 5", message: "at most five"}
            properties:
              color: {type: string, default: blue}
              replicas: {type: integer, default: 1}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, port: {type: integer}}
          status:
            type: object
            properties: {replicas: {type: integer}, phase: {type: string}}
  - {name: v2, served: true, storage: false, schema: *schema}
`

// widgetsB is another schema of the same group and resource.
const widgetsB = `
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, default: 7}}}
`

func definition(tb testing.TB, text string) *apiextensionsv1.CustomResourceDefinition {
	tb.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal([]byte(text), crd); err != nil {
		tb.Fatal(err)
	}
	return crd
}

// server serves custom resources at /clusters/<cluster>/apis/..., each cluster with the resource that it is given.
type server struct {
	tb       testing.TB
	backend  *storage.Backend
	catalog  *catalog.Catalog
	handlers *Handlers
	url      string

	mu       sync.Mutex
	clusters map[string]*catalog.Resource
	// filter is that of all requests; nil for none.
	filter filter.Filter
	// room returns the room of a request; nil for no limit.
	room func() room.Room
}

// startEtcd shares one etcd between the tests of a package-level parent.
func startEtcd(tb testing.TB) *kubernetes.Client {
	tb.Helper()
	client := testserver.RunEtcd(tb, nil)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func newServer(tb testing.TB, change func(*Config)) *server {
	tb.Helper()
	backend, err := storage.NewBackend(storage.Config{
		Orphans: true, Client: startEtcd(tb), CompactionInterval: -1,
		Codec: func(schema.GroupResource) (runtime.Codec, error) { return unstructured.UnstructuredJSONScheme, nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(backend.Destroy)
	if err := wait.PollUntilContextTimeout(tb.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		tb.Fatal(backend.Ready())
	}
	config := Config{RESTOptionsGetter: backend.CustomResources(), Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer()}
	if change != nil {
		change(&config)
	}
	handlers, err := New(config)
	if err != nil {
		tb.Fatal(err)
	}
	fake := clienttest.NewFake()
	s := &server{
		tb: tb, backend: backend, handlers: handlers, clusters: map[string]*catalog.Resource{},
		catalog: catalog.New(catalog.Config{Reader: fake}),
	}
	web := httptest.NewServer(s.chain())
	tb.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		handlers.Close()
	})
	s.url = web.URL
	return s
}

// serve makes cluster serve the definition, in bucket.
func (s *server) serve(cluster, bucket string, crd *apiextensionsv1.CustomResourceDefinition) *catalog.Resource {
	s.tb.Helper()
	resource, err := s.catalog.ResourceOf(crd, bucket)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.put(cluster, resource)
	return resource
}

func (s *server) put(cluster string, resource *catalog.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[cluster] = resource
}

// chain is as much of the chain of a real server as the handlers need.
func (s *server) chain() http.Handler {
	factory := &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	inner := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		cluster, _ := logicalcluster.FromContext(req.Context())
		s.mu.Lock()
		resource, limit := s.clusters[cluster.String()], s.room
		s.mu.Unlock()
		if limit != nil {
			req = req.WithContext(room.With(req.Context(), limit()))
		}
		handler, err := s.handlers.For(resource, cluster)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		ctx := storage.WithBucket(req.Context(), resource.Bucket)
		if s.filter != nil {
			ctx = storage.WithFilter(ctx, s.filter)
		}
		if resource.Terminating {
			ctx = WithTerminating(ctx)
		}
		if req.Method != http.MethodGet { // as server/serve does
			var end func()
			ctx, end = lasting.Context(ctx)
			defer end()
		}
		handler.ServeHTTP(w, writecost.Remember(req.WithContext(ctx), serializer.NewCodecFactory(runtime.NewScheme())))
	})
	handler := genericapifilters.WithRequestInfo(genericapifilters.WithRequestReceivedTimestamp(genericapifilters.WithAuditInit(inner)), factory)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		cluster, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/clusters/"), "/")
		req = req.Clone(req.Context())
		req.URL.Path = "/" + rest
		ctx := logicalcluster.WithCluster(req.Context(), logicalcluster.Name(cluster))
		ctx = genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: "tester"})
		handler.ServeHTTP(w, req.WithContext(ctx))
	})
}

// do sends a request and returns status and body. The content type is that of a JSON body unless path is said to be patched.
func (s *server) do(method, path, contentType, body string, header ...string) (int, map[string]any) {
	s.tb.Helper()
	req, err := http.NewRequestWithContext(s.tb.Context(), method, s.url+"/clusters/"+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	out := map[string]any{}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&out); err != nil {
		out["text"] = string(data)
	}
	return resp.StatusCode, out
}

// must is do with the status that is wanted.
func (s *server) must(want int, method, path, contentType, body string, header ...string) map[string]any {
	s.tb.Helper()
	status, out := s.do(method, path, contentType, body, header...)
	if status != want {
		s.tb.Fatalf("%s %s: status %d, want %d: %v", method, path, status, want, out)
	}
	return out
}

const (
	asJSON  = "application/json"
	asMerge = "application/merge-patch+json"
	asApply = "application/apply-patch+yaml"
	widgets = "/apis/example.com/v1/namespaces/default/widgets"
)

func widget(name, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q},"spec":%s}`, name, spec)
}

// at returns the value below the given keys; nil when there is none.
func at(obj map[string]any, path ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(obj, path...)
	return value
}

// watch returns the events of a watch as "TYPE name".
func (s *server) watch(path string) <-chan string {
	s.tb.Helper()
	return s.watchUntil(s.tb.Context(), path)
}

// watchUntil is watch until ctx ends.
func (s *server) watchUntil(ctx context.Context, path string) <-chan string {
	s.tb.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/clusters/"+path, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		s.tb.Fatalf("watching %s: status %d", path, resp.StatusCode)
	}
	events := make(chan string, 100)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			event := struct {
				Type   string
				Object struct{ Metadata metav1.ObjectMeta }
			}{}
			if json.Unmarshal(lines.Bytes(), &event) == nil {
				events <- event.Type + " " + event.Object.Metadata.Name
			}
		}
	}()
	return events
}

func (s *server) expect(events <-chan string, want string) {
	s.tb.Helper()
	select {
	case got, ok := <-events:
		if !ok {
			s.tb.Fatalf("the watch ended, want %q", want)
		}
		if got != want {
			s.tb.Fatalf("event %q, want %q", got, want)
		}
	case <-time.After(patience):
		s.tb.Fatalf("no event, want %q", want)
	}
}
