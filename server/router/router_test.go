package router

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/server/serve"
)

// served is a catalog in which every cluster serves the same.
type served []*catalog.Resource

func (s served) For(context.Context, logicalcluster.Name) (*catalog.Snapshot, error) {
	return catalog.NewSnapshot(s...), nil
}

func (s served) Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error) {
	return s.For(ctx, cluster)
}

type nothing struct{}

func (nothing) For(*catalog.Resource, logicalcluster.Name) (http.Handler, error) {
	return http.NotFoundHandler(), nil
}
func (nothing) Handler(*catalog.Snapshot, logicalcluster.Name) http.Handler {
	return http.NotFoundHandler()
}
func (nothing) ServeHTTP(http.ResponseWriter, *http.Request) {}

func newRouter(base http.HandlerFunc, s served) *Router {
	scheme := runtime.NewScheme()
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(scheme, v1)
	scheme.AddUnversionedTypes(v1, &metav1.Status{})
	return New(Config{
		API: base, Catalog: s, Discovery: nothing{}, Virtual: nothing{}, Switched: switchedAgain(),
		Usage: func(_ context.Context, cluster logicalcluster.Name) (limits.Amount, error) {
			if cluster != "c" {
				return limits.Amount{}, errors.New("another cluster is counted")
			}
			return limits.Amount{Objects: 3, Bytes: 4096}, nil
		},
		Again: func(_ context.Context, _ logicalcluster.Name, served *catalog.Served) error {
			if served.Binding == "limited" {
				return apierrors.NewForbidden(served.GroupResource(), "", errors.New("not now"))
			}
			return nil
		},
		Identified: func(_ context.Context, gr schema.GroupResource, identity string) (serve.Target, error) {
			if gr.Resource != "widgets" || identity != "hash" {
				return serve.Target{}, apierrors.NewNotFound(gr, "")
			}
			return serve.Target{All: true, Handler: base}, nil
		},
		Metadata: metadata{base},
		Base: func(gr schema.GroupResource) bool {
			return gr == schema.GroupResource{Resource: "configmaps"} || gr == corev1alpha1.Resource("logicalclusters")
		},
		Serve: serve.New(serve.Config{
			// Every cluster is switched off.
			Watches: serve.NewWatches(), Inactive: func(logicalcluster.Name) bool { return true },
			Catalog: s, Schemas: nothing{}, API: base, Codecs: serializer.NewCodecFactory(scheme),
		}),
	})
}

// metadata serves the metadata of widgets to whoever says so in the URL.
type metadata struct{ serving http.Handler }

func (metadata) Wants(r *http.Request) bool { return r.URL.Query().Has("metadata") }

func (m metadata) Handler(_ context.Context, gvr schema.GroupVersionResource, _ bool) (http.Handler, error) {
	switch {
	case gvr.Group == "broken.example.com":
		return nil, apierrors.NewServiceUnavailable("try again")
	case gvr != schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}:
		return nil, nil
	}
	return m.serving, nil
}

// switchedAgain returns a function that reports another switch at each call.
func switchedAgain() func() uint64 {
	var switches uint64
	return func() uint64 { switches++; return switches }
}

func send(ctx context.Context, t *testing.T, r *Router, method, url string) int {
	t.Helper()
	req := httptest.NewRequestWithContext(ctx, method, url, strings.NewReader(`{}`))
	infos := genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	info, err := infos.NewRequestInfo(req)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req.WithContext(genericapirequest.WithRequestInfo(ctx, info)))
	return w.Code
}

// A dry run never reaches the storage that knows where objects may be written, so nothing but reads may come through without
// exactly one cluster, whoever asks.
func TestRouter_WritesNeedOneCluster(t *testing.T) {
	reached := false
	r := newRouter(func(http.ResponseWriter, *http.Request) { reached = true }, nil)
	for _, at := range []struct {
		name string
		ctx  context.Context
		code int // of what is refused
		list bool
	}{
		{"one cluster", logicalcluster.WithCluster(t.Context(), "c"), 0, true},
		{"all clusters", logicalcluster.WithWildcard(t.Context()), http.StatusMethodNotAllowed, true},
		{"no cluster", t.Context(), http.StatusNotFound, false},
		{"an unknown cluster", logicalcluster.WithUnknown(t.Context()), http.StatusNotFound, false},
	} {
		for _, verb := range []struct{ method, url string }{
			{http.MethodPost, "/api/v1/namespaces/default/configmaps?dryRun=All"},
			{http.MethodPut, "/api/v1/namespaces/default/configmaps/x?dryRun=All"},
			{http.MethodPatch, "/api/v1/namespaces/default/configmaps/x?dryRun=All&fieldManager=m"},
			{http.MethodDelete, "/api/v1/namespaces/default/configmaps/x?dryRun=All"},
			{http.MethodDelete, "/api/v1/namespaces/default/configmaps?dryRun=All"},
			{http.MethodGet, "/api/v1/namespaces/default/configmaps/x"},
			{http.MethodPost, "/api/v1/configmaps?dryRun=All"},
		} {
			reached = false
			code := send(at.ctx, t, r, verb.method, verb.url)
			if want := at.code == 0; reached != want || (!want && code != at.code) {
				t.Errorf("%s %s in %s: %d, served: %t; want %d", verb.method, verb.url, at.name, code, reached, at.code)
			}
		}
		reached = false
		if code := send(at.ctx, t, r, http.MethodGet, "/api/v1/configmaps"); reached != at.list {
			t.Errorf("list in %s: %d, served: %t", at.name, code, reached)
		}
	}
}

// What serves a resource with an identity gets a request without it.
func TestRouter_Identity(t *testing.T) {
	var seen *http.Request
	r := newRouter(func(_ http.ResponseWriter, req *http.Request) { seen = req }, nil)
	wildcard := logicalcluster.WithWildcard(t.Context())
	for name, tc := range map[string]struct {
		ctx         context.Context
		method, url string
		code        int
	}{
		"list":                      {wildcard, http.MethodGet, "/apis/example.com/v1/widgets:hash?limit=1", http.StatusOK},
		"watch":                     {wildcard, http.MethodGet, "/apis/example.com/v1/widgets:hash?watch=true", http.StatusOK},
		"escaped":                   {wildcard, http.MethodGet, "/apis/example.com/v1/widgets%3Ahash", http.StatusOK},
		"another identity":          {wildcard, http.MethodGet, "/apis/example.com/v1/widgets:other", http.StatusNotFound},
		"no identity":               {wildcard, http.MethodGet, "/apis/example.com/v1/widgets:", http.StatusNotFound},
		"not even a colon":          {wildcard, http.MethodGet, "/apis/example.com/v1/widgets", http.StatusBadRequest},
		"an identity of a built-in": {wildcard, http.MethodGet, "/api/v1/configmaps:hash", http.StatusNotFound},
		"one object":                {wildcard, http.MethodGet, "/apis/example.com/v1/widgets:hash/x", http.StatusMethodNotAllowed},
		"a namespace":               {wildcard, http.MethodGet, "/apis/example.com/v1/namespaces/default/widgets:hash", http.StatusBadRequest},
		"a write":                   {wildcard, http.MethodPost, "/apis/example.com/v1/widgets:hash", http.StatusMethodNotAllowed},
		"a deletion":                {wildcard, http.MethodDelete, "/apis/example.com/v1/widgets:hash", http.StatusMethodNotAllowed},
		"in one cluster":            {logicalcluster.WithCluster(t.Context(), "c"), http.MethodGet, "/apis/example.com/v1/widgets:hash", http.StatusNotFound},
	} {
		seen = nil
		code := send(tc.ctx, t, r, tc.method, tc.url)
		if code != tc.code || (seen != nil) != (tc.code == http.StatusOK) {
			t.Errorf("%s: %d, served: %t, want %d", name, code, seen != nil, tc.code)
		}
		if seen == nil {
			continue
		}
		info, _ := genericapirequest.RequestInfoFrom(seen.Context())
		if info.Resource != "widgets" || seen.URL.EscapedPath() != "/apis/example.com/v1/widgets" || info.Path != seen.URL.Path || info.Parts[0] != "widgets" {
			t.Errorf("%s: served as %s, %+v", name, seen.URL, info)
		}
	}
}

// Without an identity there is only metadata, and only in lists and watches.
func TestRouter_Metadata(t *testing.T) {
	var seen context.Context
	r := newRouter(func(_ http.ResponseWriter, req *http.Request) { seen = req.Context() }, nil)
	wildcard, one := logicalcluster.WithWildcard(t.Context()), logicalcluster.WithCluster(t.Context(), "c")
	for name, tc := range map[string]struct {
		ctx         context.Context
		method, url string
		code        int
	}{
		"list":                 {wildcard, http.MethodGet, "/apis/example.com/v1/widgets?metadata", http.StatusOK},
		"watch":                {wildcard, http.MethodGet, "/apis/example.com/v1/widgets?metadata&watch=true", http.StatusOK},
		"whole objects":        {wildcard, http.MethodGet, "/apis/example.com/v1/widgets", http.StatusBadRequest},
		"a version of nobody":  {wildcard, http.MethodGet, "/apis/example.com/v2/widgets?metadata", http.StatusNotFound},
		"a resource of nobody": {wildcard, http.MethodGet, "/apis/example.com/v1/gadgets?metadata", http.StatusNotFound},
		"nobody knows":         {wildcard, http.MethodGet, "/apis/broken.example.com/v1/widgets?metadata", http.StatusServiceUnavailable},
		"one object":           {wildcard, http.MethodGet, "/apis/example.com/v1/widgets/x?metadata", http.StatusMethodNotAllowed},
		"a namespace":          {wildcard, http.MethodGet, "/apis/example.com/v1/namespaces/default/widgets?metadata", http.StatusBadRequest},
		"a write":              {wildcard, http.MethodPost, "/apis/example.com/v1/widgets?metadata", http.StatusMethodNotAllowed},
		"a deletion":           {wildcard, http.MethodDelete, "/apis/example.com/v1/widgets?metadata", http.StatusMethodNotAllowed},
		"in one cluster":       {one, http.MethodGet, "/apis/example.com/v1/widgets?metadata", http.StatusNotFound},
	} {
		seen = nil
		if code := send(tc.ctx, t, r, tc.method, tc.url); code != tc.code || (seen != nil) != (tc.code == http.StatusOK) {
			t.Errorf("%s: %d, served: %t, want %d", name, code, seen != nil, tc.code)
		}
		if seen != nil && !logicalcluster.IsWildcard(seen) {
			t.Errorf("%s: it is not for all clusters", name)
		}
	}
}

// Nothing behind the router may see the cluster of whoever asks who they are, because they may not be allowed to enter it.
func TestRouter_WhoAmI(t *testing.T) {
	var seen context.Context
	r := newRouter(func(_ http.ResponseWriter, req *http.Request) { seen = req.Context() }, nil)
	const url = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	for name, ctx := range map[string]context.Context{
		"one cluster": logicalcluster.WithCluster(t.Context(), "c"), "an unknown cluster": logicalcluster.WithUnknown(t.Context()), "no cluster": t.Context(),
	} {
		seen = nil
		if send(ctx, t, r, http.MethodPost, url); seen == nil {
			t.Errorf("%s: not served", name)
			continue
		}
		if cluster, ok := logicalcluster.FromContext(seen); ok || !logicalcluster.IsUnknown(seen) {
			t.Errorf("%s: behind the router it is for %q", name, cluster)
		}
	}
	for name, ctx := range map[string]context.Context{"an unknown cluster": logicalcluster.WithUnknown(t.Context()), "no cluster": t.Context()} {
		for _, other := range []string{"/apis/authentication.k8s.io/v1/tokenreviews", url + "/x/y"} {
			seen = nil
			if code := send(ctx, t, r, http.MethodPost, other); seen != nil || code != http.StatusNotFound {
				t.Errorf("%s in %s: %d", other, name, code)
			}
		}
	}
}

func TestRouter_WatchesEndWhenTheClusterIsSwitchedOff(t *testing.T) {
	ended := false
	r := newRouter(func(_ http.ResponseWriter, req *http.Request) { ended = req.Context().Err() != nil },
		served{{Group: "tenancy.kcp.io", Plural: "workspaces", Hash: "typed", Typed: true}})
	alice := &user.DefaultInfo{Name: "alice"}
	master := &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}}
	for _, tc := range []struct {
		who  user.Info
		url  string
		want bool
	}{
		{alice, "/api/v1/configmaps?watch=true", true},
		{alice, "/apis/tenancy.kcp.io/v1alpha1/workspaces?watch=true", true},
		{alice, "/api/v1/configmaps", false},
		{alice, "/apis/core.kcp.io/v1alpha1/logicalclusters?watch=true", false},
		{master, "/api/v1/configmaps?watch=true", false},
	} {
		ended = false
		ctx := genericapirequest.WithUser(logicalcluster.WithCluster(t.Context(), "c"), tc.who)
		send(ctx, t, r, http.MethodGet, tc.url)
		if ended != tc.want {
			t.Errorf("%s by %s: ended: %t, want %t", tc.url, tc.who.GetName(), ended, tc.want)
		}
	}
}

func TestRouter_WatchesOnAllClustersEndWhenOneIsSwitched(t *testing.T) {
	ended := false
	r := newRouter(func(_ http.ResponseWriter, req *http.Request) { ended = req.Context().Err() != nil }, nil)
	ctx := genericapirequest.WithUser(logicalcluster.WithWildcard(t.Context()), &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}})
	for url, want := range map[string]bool{
		"/api/v1/configmaps?watch=true": true, "/api/v1/configmaps": false, "/apis/core.kcp.io/v1alpha1/logicalclusters?watch=true": false,
	} {
		ended = false
		if send(ctx, t, r, http.MethodGet, url); ended != want {
			t.Errorf("%s: ended: %t, want %t", url, ended, want)
		}
	}
	r.Switched = func() uint64 { return 7 }
	ended = true
	if send(ctx, t, r, http.MethodGet, "/api/v1/configmaps?watch=true"); ended {
		t.Error("a watch ends although no cluster was switched")
	}
}

func TestRouter_TypedResourcesThatGoTakeNoNewObjects(t *testing.T) {
	workspaces := &catalog.Resource{Group: "tenancy.kcp.io", Plural: "workspaces", Hash: "typed", Typed: true}
	going := *workspaces
	going.Terminating = true
	for _, tc := range []struct {
		name     string
		resource *catalog.Resource
		may      bool
	}{{"bound", workspaces, true}, {"going", &going, false}} {
		created := false
		r := newRouter(func(_ http.ResponseWriter, req *http.Request) {
			a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "", "w", schema.GroupVersionResource{}, "", admission.Create, nil, false, nil)
			chain := registryschema.NoCreateWhileTerminating(admission.NewChainHandler())
			created = chain.(admission.MutationInterface).Admit(req.Context(), a, nil) == nil
		}, served{tc.resource})
		for _, method := range []string{http.MethodPost, http.MethodPatch} {
			url := "/apis/tenancy.kcp.io/v1alpha1/workspaces"
			if method == http.MethodPatch {
				url += "/w?fieldManager=m"
			}
			created = false
			code := send(logicalcluster.WithCluster(t.Context(), "c"), t, r, method, url)
			if created != tc.may {
				t.Errorf("%s while %s: %d, created: %t", method, tc.name, code, created)
			}
		}
	}
}

// What serves a request may have been bound after the request was authorized, so its provider is asked once more.
func TestRouter_AsksTheProviderOfWhatServes(t *testing.T) {
	for binding, refused := range map[string]bool{"limited": true, "free": false} {
		resource := &catalog.Resource{Group: "example.com", Plural: "widgets", Hash: "typed", Typed: true, Binding: binding}
		reached := false
		r := newRouter(func(http.ResponseWriter, *http.Request) { reached = true }, served{resource})
		ctx := logicalcluster.WithCluster(t.Context(), "c")
		code := send(ctx, t, r, http.MethodPost, "/apis/example.com/v1/namespaces/default/widgets")
		if reached == refused || refused && code != http.StatusForbidden {
			t.Errorf("%s: %d, served: %t", binding, code, reached)
		}
	}
}

// What a cluster has bound with virtual storage is served by whoever Elsewhere says, or not at all; never from the storage of the cluster.
func TestRouter_VirtualResources(t *testing.T) {
	flavors := &catalog.Resource{Group: "example.com", Plural: "flavors", Hash: "h", Virtual: true}
	r := newRouter(func(http.ResponseWriter, *http.Request) { t.Error("the cluster serves it") }, served{flavors})
	asked := 0
	for _, refuse := range []error{nil, apierrors.NewServiceUnavailable("not now")} {
		answered := false
		r.Elsewhere = func(_ *http.Request, _ *genericapirequest.RequestInfo, cluster logicalcluster.Name, served *catalog.Served) (serve.Target, error) {
			asked++
			if cluster != "c1" || served.Resource != flavors {
				t.Errorf("asked about %s in %s", served.GroupResource(), cluster)
			}
			return serve.Target{Cluster: "elsewhere", Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				at, _ := logicalcluster.FromContext(req.Context())
				answered = at == "elsewhere"
			})}, refuse
		}
		code := send(logicalcluster.WithCluster(t.Context(), "c1"), t, r, http.MethodGet, "/apis/example.com/v1/flavors/small")
		if answered != (refuse == nil) || (code == http.StatusServiceUnavailable) != (refuse != nil) {
			t.Errorf("%v: answered: %t, code %d", refuse, answered, code)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// What is stored is told of one cluster, and only read.
func TestRouter_Usage(t *testing.T) {
	r := newRouter(func(http.ResponseWriter, *http.Request) { t.Error("the process's own API is asked") }, nil)
	one := logicalcluster.WithCluster(t.Context(), "c")
	for _, test := range []struct {
		ctx         context.Context
		method, url string
		want        int
	}{
		{one, http.MethodGet, "/usage", http.StatusOK},
		{one, http.MethodGet, "/usage/", http.StatusOK},
		{one, http.MethodHead, "/usage", http.StatusOK},
		{one, http.MethodPost, "/usage", http.StatusMethodNotAllowed},
		{one, http.MethodDelete, "/usage", http.StatusMethodNotAllowed},
		{one, http.MethodGet, "/usage/x", http.StatusNotFound},
		{t.Context(), http.MethodGet, "/usage", http.StatusNotFound},
		{logicalcluster.WithUnknown(t.Context()), http.MethodGet, "/usage", http.StatusNotFound},
		{logicalcluster.WithWildcard(t.Context()), http.MethodGet, "/usage", http.StatusNotFound},
	} {
		if got := send(test.ctx, t, r, test.method, test.url); got != test.want {
			t.Errorf("%s %s: %d, want %d", test.method, test.url, got, test.want)
		}
	}
	w := httptest.NewRecorder()
	r.usage(w, httptest.NewRequestWithContext(one, http.MethodGet, "/usage", nil), "c")
	if got := w.Body.String(); got != "{\"objects\":3,\"bytes\":4096}\n" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the answer is %q, %v", got, w.Header())
	}
}
