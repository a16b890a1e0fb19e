package frontdoor

import (
	"context"
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
	"github.com/annex-dev/annex/server/virtual/lifecycle"
)

// atHost is what the handler behind the door of a server in a host cluster got.
type atHost struct {
	path, target, virtual, address string
	shown                          bool
}

// projections projects example.org: each namespace is the workspace root:org:<namespace>.
type projections struct{}

func (projections) Serves(group string) bool { return group == "example.org" }

func (projections) Route(r *http.Request) (context.Context, logicalcluster.Path, bool) {
	segments := strings.Split(r.URL.Path, "/")
	if segments[3] != "v1" {
		return nil, "", false
	}
	path := logicalcluster.Path("")
	if segments[4] == "namespaces" {
		path = logicalcluster.Path("root:org").Join(segments[5])
	}
	return virtual.WithEndpoint(r.Context(), virtual.Endpoint{Kind: "hostbinding", Cluster: "abc123", Name: "things"}), path, true
}

// serveHost asks the door of a server that is installed into a host, whose workspace is root:org.
func serveHost(t *testing.T, target string) (int, *atHost) {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	var got *atHost
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = &atHost{path: r.URL.Path, address: AddressFrom(r.Context()), shown: ShownByHost(r.Context())}
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
			got.virtual = string(endpoint.Cluster) + " " + endpoint.Name
		}
	})
	answer := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	handler := With(next, Config{
		Resolver: resolver{"root": "root", "root:org": "abc123", "root:org:team": "team1"},
		Virtual:  virtual.List{&apiexport.Endpoint{}, lifecycle.NewInitializing(lifecycle.Config{}), lifecycle.NewTerminating(lifecycle.Config{})},
		Health:   answer(http.StatusNoContent),
		Codecs:   serializer.NewCodecFactory(scheme),
		Host: &Host{
			Workspace: "root:org", Serves: func(group string) bool { return strings.HasSuffix(group, ".kcp.io") },
			Discovery: answer(http.StatusAccepted), Projections: projections{},
		},
	})
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	return recorder.Code, got
}

func TestDoor_ThroughTheHost(t *testing.T) {
	const (
		workspaces = "/apis/tenancy.kcp.io/v1alpha1/workspaces"
		exports    = "/apis/apis.kcp.io/v1alpha2/apiexports"
		types      = "/apis/tenancy.kcp.io/v1alpha1/workspacetypes"
	)
	for name, tc := range map[string]struct {
		url  string
		code int
		want *atHost
	}{
		"a workspace by path":        {workspaces + "/root:org:team/proxy/api/v1/namespaces", 200, &atHost{path: "/api/v1/namespaces", target: "team1", address: "root:org:team"}},
		"escaped colons":             {workspaces + "/root%3Aorg%3Ateam/proxy/api", 200, &atHost{path: "/api", target: "team1", address: "root:org:team"}},
		"a child":                    {workspaces + "/team/proxy/api", 200, &atHost{path: "/api", target: "team1", address: "root:org:team"}},
		"root":                       {workspaces + "/root/proxy/api", 200, &atHost{path: "/api", target: "root", address: "root"}},
		"nothing behind the proxy":   {workspaces + "/team/proxy", 200, &atHost{path: "/", target: "team1", address: "root:org:team"}},
		"an unknown workspace":       {workspaces + "/nobody/proxy/api", 200, &atHost{path: "/api", target: "unknown", address: "root:org:nobody"}},
		"health of a workspace":      {workspaces + "/team/proxy/readyz", 204, nil},
		"workspaces of a workspace":  {workspaces + "/team/proxy" + workspaces, 200, &atHost{path: workspaces, target: "team1", address: "root:org:team"}},
		"all workspaces":             {workspaces + "/*/proxy/api", 400, nil},
		"upper case":                 {workspaces + "/Team/proxy/api", 400, nil},
		"a proxy in a proxy":         {workspaces + "/root/proxy" + workspaces + "/team/proxy/api", 400, nil},
		"an escaped proxy in one":    {workspaces + "/root/proxy/apis/tenancy.kcp.io/v1alpha1/workspaces/team/pro%78y/api", 400, nil},
		"an export in a workspace":   {workspaces + "/root/proxy" + exports + "/x/proxy/clusters/*/api", 400, nil},
		"a workspace in an export":   {exports + "/root:org:widgets/proxy/clusters/*" + workspaces + "/team/proxy/api", 400, nil},
		"another subresource":        {workspaces + "/team/status", 200, &atHost{path: workspaces + "/team/status", target: "abc123", address: "root:org", shown: true}},
		"a proxy of another kind":    {"/apis/tenancy.kcp.io/v1alpha1/workspacetypes/x/proxy", 200, &atHost{path: "/apis/tenancy.kcp.io/v1alpha1/workspacetypes/x/proxy", target: "abc123", address: "root:org", shown: true}},
		"a type without a stage":     {types + "/x/proxy/clusters/*/api", 200, &atHost{path: types + "/x/proxy/clusters/*/api", target: "abc123", address: "root:org", shown: true}},
		"an initializer by path":     {types + "/root:team/proxy/initializingworkspaces/clusters/*/apis/a/v1", 200, &atHost{path: "/apis/a/v1", target: "*", virtual: "root team", address: "*"}},
		"a terminator, in a cluster": {types + "/team/proxy/terminatingworkspaces/clusters/root/api", 200, &atHost{path: "/api", target: "root", virtual: "abc123 team", address: "root"}},
		"an initializer of nobody":   {types + "/root:nobody:team/proxy/initializingworkspaces/clusters/*/api", 200, &atHost{path: "/clusters/*/api", target: "unknown", address: "root:nobody"}},
		"an initializer, no cluster": {types + "/team/proxy/initializingworkspaces/api", 404, nil},
		"an initializer of all":      {types + "/*:team/proxy/initializingworkspaces/clusters/*/api", 400, nil},
		"an initializer, no name":    {types + "/root:/proxy/initializingworkspaces/clusters/*/api", 400, nil},
		"an initializer, two names":  {types + "/team%2Fx/proxy/initializingworkspaces/clusters/*/api", 400, nil},
		"a workspace in a type":      {types + "/team/proxy/initializingworkspaces/clusters/root" + workspaces + "/team/proxy/api", 400, nil},
		"a type in a workspace":      {workspaces + "/root/proxy" + types + "/team/proxy/terminatingworkspaces/clusters/*/api", 400, nil},
		"an export by path":          {exports + "/root:widgets.example.com/proxy/clusters/*/apis/a/v1", 200, &atHost{path: "/apis/a/v1", target: "*", virtual: "root widgets.example.com", address: "*"}},
		"an export, for a consumer":  {"/apis/apis.kcp.io/v1alpha1/apiexports/widgets/proxy/clusters/root/api", 200, &atHost{path: "/api", target: "root", virtual: "abc123 widgets", address: "root"}},
		"an export of nobody":        {exports + "/root:nobody:widgets/proxy/clusters/*/api", 200, &atHost{path: "/clusters/*/api", target: "unknown", address: "root:nobody"}},
		"an export without clusters": {exports + "/widgets/proxy/api", 404, nil},
		"an export of all":           {exports + "/*:widgets/proxy/clusters/*/api", 400, nil},
		"an export without a name":   {exports + "/root:/proxy/clusters/*/api", 400, nil},
		"the host's workspace":       {workspaces, 200, &atHost{path: workspaces, target: "abc123", address: "root:org", shown: true}},
		"an object in it":            {workspaces + "/team", 200, &atHost{path: workspaces + "/team", target: "abc123", address: "root:org", shown: true}},
		"discovery of a version":     {"/apis/tenancy.kcp.io/v1alpha1", 202, nil},
		"discovery of a group":       {"/apis/tenancy.kcp.io/", 202, nil},
		"discovery of all":           {"/apis", 202, nil},
		"OpenAPI":                    {"/openapi/v3/apis/tenancy.kcp.io/v1alpha1", 202, nil},
		"other groups":               {"/apis/example.com/v1/widgets", 200, &atHost{path: "/apis/example.com/v1/widgets"}},
		"projected, in a workspace":  {"/apis/example.org/v1/namespaces/team/things/x", 200, &atHost{path: "/apis/example.org/v1/namespaces/team/things/x", target: "team1", virtual: "abc123 things", address: "root:org:team"}},
		"projected, in none yet":     {"/apis/example.org/v1/namespaces/new/things", 200, &atHost{path: "/apis/example.org/v1/namespaces/new/things", target: "*", virtual: "abc123 things", address: "root:org:new"}},
		"projected, in several":      {"/apis/example.org/v1/things", 200, &atHost{path: "/apis/example.org/v1/things", target: "*", virtual: "abc123 things"}},
		"not in a projected version": {"/apis/example.org/v2/things", 200, &atHost{path: "/apis/example.org/v2/things"}},
		"discovery of projected":     {"/apis/example.org/v1", 202, nil},
		"projected, below a cluster": {"/clusters/root/apis/example.org/v1/namespaces/team/things", 200, &atHost{path: "/apis/example.org/v1/namespaces/team/things", target: "root", address: "root"}},
		"the core group":             {"/api/v1/namespaces", 200, &atHost{path: "/api/v1/namespaces"}},
		"a cluster":                  {"/clusters/root" + workspaces, 200, &atHost{path: workspaces, target: "root", address: "root"}},
		"a proxy below a cluster":    {"/clusters/root" + workspaces + "/team/proxy/api", 200, &atHost{path: workspaces + "/team/proxy/api", target: "root", address: "root"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, got := serveHost(t, tc.url)
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

// Alone, none of it exists.
func TestDoor_WithoutAHost(t *testing.T) {
	for _, path := range []string{"/apis", "/openapi/v3", "/apis/tenancy.kcp.io/v1alpha1/workspaces", "/apis/tenancy.kcp.io/v1alpha1/workspaces/root/proxy/api"} {
		if code, got := serve(t, path); code != http.StatusOK || got == nil || *got != (seen{path: path}) {
			t.Errorf("%s: %d, %+v", path, code, got)
		}
	}
}
