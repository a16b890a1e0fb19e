package frontdoor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/apiexport"
)

type resolver map[logicalcluster.Path]logicalcluster.Name

func (r resolver) Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if _, ok := ctx.Deadline(); !ok {
		return "", false, errors.New("without etcd the search would not end")
	}
	if path == "broken" {
		return "", false, errors.New("etcd is gone")
	}
	name, ok := r[path]
	return name, ok, nil
}

// seen is what the handler behind the door got.
type seen struct {
	path, target string
	virtual      string
}

// tokens are those of the server; each of them names its cluster.
type tokens map[string]logicalcluster.Name

func (k tokens) Home(ctx context.Context, token string) (logicalcluster.Name, bool) {
	if _, ok := ctx.Deadline(); !ok {
		panic("without etcd the search would not end")
	}
	home, ok := k[token]
	return home, ok
}

func serve(t *testing.T, url string) (int, *seen) {
	t.Helper()
	return serveAs(t, url, "")
}

// serveAs serves a request with an Authorization header.
func serveAs(t *testing.T, url, authorization string) (int, *seen) {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	var got *seen
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = &seen{path: r.URL.Path}
		name, one := logicalcluster.FromContext(r.Context())
		switch {
		case one:
			got.target = string(name)
		case logicalcluster.IsWildcard(r.Context()):
			got.target = "*"
		case logicalcluster.IsUnknown(r.Context()):
			got.target = "unknown"
		}
		if endpoint, ok := virtual.FromContext(r.Context()); ok {
			got.virtual = endpoint.Kind + " " + string(endpoint.Cluster) + " " + endpoint.Name
		}
	})
	handler := With(next, Config{
		Resolver: resolver{"root": "root", "root:org": "abc123", "abc123": "abc123"},
		Virtual:  virtual.List{&apiexport.Endpoint{}},
		Tokens:   tokens{"of-abc123": "abc123", "of-nobody": "zzz", "of-broken": "broken"},
		Health:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		Codecs:   serializer.NewCodecFactory(scheme),
	})
	recorder := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	handler.ServeHTTP(recorder, r)
	if comeAgain := recorder.Header().Get("Retry-After") != ""; comeAgain != (recorder.Code == http.StatusServiceUnavailable) {
		t.Errorf("%d with Retry-After: %q", recorder.Code, recorder.Header().Get("Retry-After"))
	}
	return recorder.Code, got
}

func TestDoor_ByToken(t *testing.T) {
	for name, tc := range map[string]struct {
		url, authorization string
		code               int
		want               *seen
	}{
		"no prefix":                        {"/api/v1/namespaces/a%20b", "Bearer of-abc123", 200, &seen{path: "/api/v1/namespaces/a b", target: "abc123"}},
		"in another spelling":              {"/apis", "  bearer of-abc123", 200, &seen{path: "/apis", target: "abc123"}},
		"another cluster in the URL":       {"/clusters/root/api", "Bearer of-abc123", 200, &seen{path: "/api", target: "root"}},
		"all clusters in the URL":          {"/clusters/*/api", "Bearer of-abc123", 200, &seen{path: "/api", target: "*"}},
		"a virtual endpoint":               {"/services/apiexport/root/widgets/clusters/*/apis", "Bearer of-abc123", 200, &seen{path: "/apis", target: "*", virtual: "apiexport root widgets"}},
		"a token of somebody else":         {"/api", "Bearer alice", 200, &seen{path: "/api"}},
		"another scheme":                   {"/api", "Basic of-abc123", 200, &seen{path: "/api"}},
		"no token":                         {"/api", "Bearer ", 200, &seen{path: "/api"}},
		"a cluster that is gone":           {"/api", "Bearer of-nobody", 200, &seen{path: "/api", target: "unknown"}},
		"a cluster that cannot be found":   {"/api", "Bearer of-broken", 503, nil},
		"metrics of the process":           {"/metrics", "Bearer of-abc123", 200, &seen{path: "/metrics"}},
		"metrics of a part of the process": {"/metrics/slis", "Bearer of-abc123", 200, &seen{path: "/metrics/slis"}},
		"profiles of the process":          {"/debug/pprof/heap", "Bearer of-abc123", 200, &seen{path: "/debug/pprof/heap"}},
		"what only begins like metrics":    {"/metricsx", "Bearer of-abc123", 200, &seen{path: "/metricsx", target: "abc123"}},
		"health":                           {"/readyz", "Bearer of-abc123", 204, nil},
	} {
		t.Run(name, func(t *testing.T) {
			code, got := serveAs(t, tc.url, tc.authorization)
			if code != tc.code || (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
				t.Errorf("%d, request behind the door: %+v, want %d, %+v", code, got, tc.code, tc.want)
			}
		})
	}
}

func TestDoor(t *testing.T) {
	for name, tc := range map[string]struct {
		url  string
		code int
		want *seen
	}{
		"a path":                          {"/clusters/root:org/api/v1/namespaces", 200, &seen{path: "/api/v1/namespaces", target: "abc123"}},
		"a name":                          {"/clusters/abc123/api/v1/namespaces", 200, &seen{path: "/api/v1/namespaces", target: "abc123"}},
		"escaped colons":                  {"/clusters/root%3Aorg/api", 200, &seen{path: "/api", target: "abc123"}},
		"nothing behind the cluster":      {"/clusters/root", 200, &seen{path: "/", target: "root"}},
		"all clusters":                    {"/clusters/*/api/v1/namespaces", 200, &seen{path: "/api/v1/namespaces", target: "*"}},
		"a system cluster":                {"/clusters/system:admin/api", 200, &seen{path: "/api", target: "system:admin"}},
		"an unknown path":                 {"/clusters/root:nobody/api", 200, &seen{path: "/api", target: "unknown"}},
		"an unknown name":                 {"/clusters/zzz/api", 200, &seen{path: "/api", target: "unknown"}},
		"a second prefix is not special":  {"/clusters/root/clusters/abc123/api", 200, &seen{path: "/clusters/abc123/api", target: "root"}},
		"an object name keeps its escape": {"/clusters/root/api/v1/namespaces/a%20b", 200, &seen{path: "/api/v1/namespaces/a b", target: "root"}},
		"no prefix":                       {"/version", 200, &seen{path: "/version"}},
		"upper case":                      {"/clusters/Root/api", 400, nil},
		"dots":                            {"/clusters/../api", 400, nil},
		"an escaped slash":                {"/clusters/root%2Forg/api", 400, nil},
		"an empty address":                {"/clusters//api", 400, nil},
		"an empty segment":                {"/clusters/root::org/api", 400, nil},
		"a lookup that fails":             {"/clusters/broken/api", 503, nil},
		"health":                          {"/readyz", 204, nil},
		"health below a cluster":          {"/clusters/zzz/livez/ping", 204, nil},
		"a virtual endpoint": {"/services/apiexport/abc123/widgets/clusters/*/apis", 200,
			&seen{path: "/apis", target: "*", virtual: "apiexport abc123 widgets"}},
		"a virtual endpoint for one consumer": {"/services/apiexport/abc123/widgets/clusters/root/apis/a/v1", 200,
			&seen{path: "/apis/a/v1", target: "root", virtual: "apiexport abc123 widgets"}},
		"an unknown virtual endpoint": {"/services/nothing/abc123/clusters/*/apis", 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			code, got := serve(t, tc.url)
			if code != tc.code {
				t.Errorf("code = %d, want %d", code, tc.code)
			}
			switch {
			case (got == nil) != (tc.want == nil):
				t.Errorf("request behind the door: %+v, want %+v", got, tc.want)
			case got != nil && *got != *tc.want:
				t.Errorf("request behind the door: %+v, want %+v", *got, *tc.want)
			}
		})
	}
}

// leaves are the mounts by path.
type leaves map[logicalcluster.Path]virtual.Endpoint

func (l leaves) At(ctx context.Context, path logicalcluster.Path) (virtual.Endpoint, bool, error) {
	if _, ok := ctx.Deadline(); !ok {
		return virtual.Endpoint{}, false, errors.New("without etcd the search would not end")
	}
	if path == "root:broken" {
		return virtual.Endpoint{}, false, errors.New("etcd is gone")
	}
	endpoint, ok := l[path]
	return endpoint, ok, nil
}

// Lost says that whatever is called lost has lost its cluster.
func (l leaves) Lost(_ context.Context, path logicalcluster.Path) (virtual.Endpoint, bool, error) {
	if above, name := path.Split(); name == "lost" {
		return virtual.Endpoint{Kind: "mount", Cluster: "above-" + logicalcluster.Name(above[len("root:"):]), Name: name}, true, nil
	}
	return virtual.Endpoint{}, false, nil
}

func TestDoor_Mounts(t *testing.T) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	var got seen
	handler := With(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name, _ := logicalcluster.FromContext(r.Context())
		endpoint, _ := virtual.FromContext(r.Context())
		got = seen{path: r.URL.Path, target: name.String(), virtual: endpoint.Kind + " " + endpoint.Cluster.String() + " " + endpoint.Name}
		if logicalcluster.IsUnknown(r.Context()) {
			got.target = "unknown"
		}
	}), Config{
		Resolver: resolver{"root": "root", "root:org": "abc123", "root:org:lost": "gone", "root:org:lost:below": "below"},
		Mounts:   leaves{"root:org:m": {Kind: "mount", Cluster: "abc123", Name: "m"}, "root": {Kind: "mount", Cluster: "x", Name: "root"}},
		Health:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		Tokens:   tokens{},
		Codecs:   serializer.NewCodecFactory(scheme),
	})
	for url, want := range map[string]struct {
		code int
		seen seen
	}{
		"/clusters/root:org:m/api/v1":                {200, seen{path: "/api/v1", target: "abc123", virtual: "mount abc123 m"}},
		"/clusters/root:org:m":                       {200, seen{path: "/", target: "abc123", virtual: "mount abc123 m"}},
		"/clusters/root%3Aorg%3Am/api":               {200, seen{path: "/api", target: "abc123", virtual: "mount abc123 m"}},
		"/clusters/root:org:m/clusters/root/api":     {200, seen{path: "/clusters/root/api", target: "abc123", virtual: "mount abc123 m"}},
		"/clusters/root:org:lost/api":                {200, seen{path: "/api", target: "above-org", virtual: "mount above-org lost"}},
		"/clusters/root:org:lost:below/api":          {200, seen{path: "/api", target: "below", virtual: "  "}}, // has a cluster of its own
		"/clusters/root:org:m:below/api":             {200, seen{path: "/api", target: "unknown", virtual: "  "}},
		"/clusters/root:org:other/api":               {200, seen{path: "/api", target: "unknown", virtual: "  "}},
		"/clusters/root/api":                         {200, seen{path: "/api", target: "root", virtual: "  "}}, // a cluster comes first
		"/clusters/root:org:m/readyz":                {204, seen{}},
		"/clusters/root:broken/api":                  {503, seen{}},
		"/clusters/root:org/../root:org:m/../../api": {200, seen{path: "/../root:org:m/../../api", target: "abc123", virtual: "  "}},
	} {
		got = seen{}
		recorder := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.URL.RawPath = "", ""
		if parsed, err := r.URL.Parse(url); err == nil && !strings.Contains(url, "..") {
			r.URL = parsed
		} else {
			r.URL.Path = url
		}
		handler.ServeHTTP(recorder, r)
		if recorder.Code != want.code || got != want.seen {
			t.Errorf("%s: %d, %+v; want %d, %+v", url, recorder.Code, got, want.code, want.seen)
		}
	}
}
