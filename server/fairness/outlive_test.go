package fairness_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	basemetrics "k8s.io/component-base/metrics"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lasting"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/serve"
)

const cluster = logicalcluster.Name("busy")

// gate is admission that works on the requests of one user until it is opened, whatever happens to them.
type gate struct {
	reached chan context.Context
	opened  chan struct{}
}

// Handles implements admission.Interface.
func (*gate) Handles(admission.Operation) bool { return true }

// Validate implements admission.ValidationInterface.
func (g *gate) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetUserInfo().GetName() == "mallory" {
		g.reached <- ctx
		<-g.opened
	}
	return nil
}

// handlers is a server of widgets in one cluster with one seat: the limiter, the last mile, the stock CRD handler and etcd.
type handlers struct {
	*testing.T
	url     string
	current atomic.Pointer[gate]
	metrics basemetrics.KubeRegistry
	left    chan struct{} // gets one for each request whose client has left
}

// Handles implements admission.Interface.
func (*handlers) Handles(admission.Operation) bool { return true }

// Validate implements admission.ValidationInterface.
func (h *handlers) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	return h.current.Load().Validate(ctx, a, o)
}

type active struct{}

func (active) For(context.Context, logicalcluster.Name) (*catalog.Snapshot, error) {
	return catalog.NewSnapshot(), nil
}
func (a active) Refresh(ctx context.Context, c logicalcluster.Name) (*catalog.Snapshot, error) {
	return a.For(ctx, c)
}

func newHandlers(t *testing.T) *handlers {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	backend, err := storage.NewBackend(storage.Config{Orphans: true,
		Client: etcd, CompactionInterval: -1,
		Codec: func(schema.GroupResource) (runtime.Codec, error) { return unstructured.UnstructuredJSONScheme, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	until(t, "the backend is ready", func() bool { return backend.Ready() == nil })
	h := &handlers{T: t, metrics: basemetrics.NewKubeRegistry(), left: make(chan struct{}, 100)}
	schemas, err := registryschema.New(registryschema.Config{
		RESTOptionsGetter: backend.CustomResources(), Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer(), Admission: h,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(schemas.Close)
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"}}
	crd.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
			OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"},
		}}},
	}
	widgets, err := catalog.New(catalog.Config{Reader: clienttest.NewFake()}).ResourceOf(crd, catalog.LocalBucket)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	codecs := serializer.NewCodecFactory(scheme)
	last := serve.New(serve.Config{
		Watches: serve.NewWatches(), Catalog: active{}, Inactive: func(logicalcluster.Name) bool { return false },
		Schemas: schemas, API: http.NotFoundHandler(), Filters: func(schema.GroupResource) bool { return true }, Codecs: codecs,
	})
	metrics := fairness.NewMetrics()
	if err := metrics.Register(h.metrics.Register); err != nil {
		t.Fatal(err)
	}
	limiter := fairness.New(fairness.Config{Reads: 10, Writes: 10, Seats: 1, Waiting: 40, Wait: time.Hour}, func(logicalcluster.Name) (logicalcluster.Path, bool) { return "", false }, metrics)
	limiter.HasRivals()
	inner := fairness.With(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop := context.AfterFunc(r.Context(), func() { h.left <- struct{}{} })
		defer stop()
		last.Serve(w, r, serve.Target{Cluster: cluster, Resource: widgets, Cataloged: true})
	}), limiter, codecs)
	infos := &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	chain := genericapifilters.WithRequestInfo(genericapifilters.WithRequestReceivedTimestamp(genericapifilters.WithAuditInit(inner)), infos)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := genericapirequest.WithUser(r.Context(), &user.DefaultInfo{Name: r.Header.Get("User")})
		chain.ServeHTTP(w, r.WithContext(logicalcluster.WithCluster(ctx, cluster)))
	}))
	t.Cleanup(web.Close)
	h.url = web.URL + "/apis/example.com/v1/namespaces/default/widgets"
	return h
}

// do sends a request and returns the answer; 0 if there was none.
func (h *handlers) do(ctx context.Context, user, method, path, contentType, body string) (code int, answer string) {
	h.Helper()
	r, err := http.NewRequestWithContext(ctx, method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User", user)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

// sum returns a metric, summed over its labels.
func (h *handlers) sum(name string) float64 {
	h.Helper()
	families, err := h.metrics.Gather()
	if err != nil {
		h.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() == "annex_fairness_"+name {
			for _, metric := range family.GetMetric() {
				sum += metric.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after two minutes: %s", what)
		}
	}
}

// The stock handlers write in goroutines of their own, and answer when the client has left, although the goroutine continues. The
// request must keep its seat.
func TestFilter_WorkOutlivesItsClientButNotItsSeat(t *testing.T) {
	const asJSON, asMerge, asApply = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"
	widget := func(name string) string {
		return fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q}}`, name)
	}
	h := newHandlers(t)
	open := &gate{reached: make(chan context.Context, 100), opened: make(chan struct{})}
	close(open.opened)
	for name, tc := range map[string]struct{ method, path, contentType, body string }{
		"create":            {http.MethodPost, "", asJSON, widget("new")},
		"update":            {http.MethodPut, "/old", asJSON, "as it is stored"},
		"patch":             {http.MethodPatch, "/old", asMerge, `{"metadata":{"labels":{"a":"b"}}}`},
		"apply":             {http.MethodPatch, "/applied?fieldManager=x", asApply, widget("applied")},
		"delete":            {http.MethodDelete, "/old", asJSON, ""},
		"delete collection": {http.MethodDelete, "", asJSON, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h.current.Store(open)
			h.do(t.Context(), "alice", http.MethodDelete, "", asJSON, "")
			code, old := h.do(t.Context(), "alice", http.MethodPost, "", asJSON, widget("old"))
			if code != http.StatusCreated {
				t.Fatalf("status %d", code)
			}
			if tc.method == http.MethodPut {
				tc.body = old
			}
			hold := &gate{reached: make(chan context.Context, 100), opened: make(chan struct{})}
			release := sync.OnceFunc(func() { close(hold.opened) })
			defer release()
			h.current.Store(hold)

			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			refused := make(chan string, 1)
			go func() {
				_, answer := h.do(ctx, "mallory", tc.method, tc.path, tc.contentType, tc.body)
				refused <- answer
			}()
			var admitted context.Context
			select {
			case admitted = <-hold.reached:
			case answer := <-refused:
				t.Fatalf("it was answered before admission: %s", answer)
			}
			ending, done := lasting.Ending(admitted)
			defer done()
			of, _ := ending.Deadline()
			if got, ok := admitted.Deadline(); !ok || !got.Equal(of) {
				t.Errorf("deadline %s, want that of the request, %s: the stock handler sets an earlier one than registry/lasting expects", got, of)
			}
			leave()
			<-h.left
			next := make(chan int, 1)
			go func() {
				code, _ := h.do(t.Context(), "alice", http.MethodGet, "/missing", asJSON, "")
				next <- code
			}()
			until(t, "the next request waits", func() bool { return len(next) > 0 || h.sum("requests_waiting") == 1 })
			select {
			case code := <-next:
				t.Fatalf("the next request was answered with %d while the work of the first goes on", code)
			default:
			}
			if got := h.sum("requests_executing"); got != 1 {
				t.Errorf("%v requests count as executing, want 1", got)
			}
			release()
			if code := <-next; code != http.StatusNotFound {
				t.Errorf("the next request: %d", code)
			}
			until(t, "nothing is executing", func() bool { return h.sum("requests_executing") == 0 && h.sum("seats_in_use") == 0 })
		})
	}
}
