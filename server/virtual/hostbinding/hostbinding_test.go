package hostbinding

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emicklei/go-restful/v3"
	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	openapicommon "k8s.io/kube-openapi/pkg/common"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// clusters maps names to canonical paths.
type clusters map[logicalcluster.Name]logicalcluster.Path

func (c clusters) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	for name, canonical := range c {
		if canonical == path || name.Path() == path {
			return name, true, nil
		}
	}
	return "", false, nil
}

func (c clusters) Phase(_ context.Context, name logicalcluster.Name) (string, bool, error) {
	_, ok := c[name]
	return "Ready", ok, nil
}

func (c clusters) PathOf(name logicalcluster.Name) (logicalcluster.Path, bool) {
	path, ok := c[name]
	return path, ok
}

func (c clusters) Ready() error { return nil }

// allowed is a Policy that lets everybody into the clusters for which it is true.
type allowed func(logicalcluster.Name) bool

func (a allowed) Authorize(ctx context.Context, _ authorizer.Attributes) (authorizer.Decision, string, error) {
	if name, ok := logicalcluster.FromContext(ctx); ok && a(name) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionDeny, "", nil
}

func (a allowed) Projected(ctx context.Context, _ bool, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	return a.Authorize(ctx, attrs)
}

// Again refuses what the binding called limited binds.
func (allowed) Again(_ context.Context, _ logicalcluster.Name, served *catalog.Served) error {
	if served.Binding == "limited" {
		return apierrors.NewForbidden(served.GroupResource(), "", errors.New("by its provider"))
	}
	return nil
}

func newEndpoint(t *testing.T, allow func(logicalcluster.Name) bool, objects ...client.Object) (*Endpoint, *clienttest.Fake, *serve.Watches) {
	t.Helper()
	watches := serve.NewWatches()
	fake := clienttest.NewFake(objects...)
	e := New(Config{
		Cached: fake, Live: fake, Writer: fake, As: func(user.Info) client.Writer { return fake },
		Clusters: clusters{"host": "root", "teams": "root:teams", "a": "root:teams:a", "b": "root:teams:b", "deep": "root:teams:a:b"},
		Catalog:  catalog.New(catalog.Config{Reader: fake}),
		Hosts:    func(name logicalcluster.Name) bool { return name == "host" },
		IsBound:  func(schema.GroupResource) bool { return false },
		Policy:   allowed(allow),
		Info:     &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")},
		Codecs:   kinds.All.NewScheme().Codecs,
		Changed:  watches.Recheck,
	})
	return e, fake, watches
}

func newHostBinding(name, path string, age int, gvs ...string) *annexv1alpha1.HostBinding {
	b := &annexv1alpha1.HostBinding{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Unix(int64(1000-age), 0)}}
	b.Spec.Reference.Export = &annexv1alpha1.HostBindingExport{Path: "provider", Name: "widgets"}
	b.Spec.Workspace.Path = path
	b.Status.APIExportClusterName, b.Status.IdentityHash = "provider", "id"
	for _, gv := range gvs {
		name, state, _ := strings.Cut(gv, " ")
		b.Status.GroupVersions = append(b.Status.GroupVersions, annexv1alpha1.HostGroupVersion{Name: name, State: annexv1alpha1.HostGroupVersionState(state)})
	}
	return clienttest.In("host", b)
}

func newExport() []client.Object {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}})
	export.Status.IdentityHash = "id"
	objects := []client.Object{export}
	for plural, scope := range map[string]apiextensionsv1.ResourceScope{"widgets": apiextensionsv1.NamespaceScoped, "planets": apiextensionsv1.ClusterScoped} {
		export.Spec.Resources = append(export.Spec.Resources, apisv1alpha2.ResourceSchema{Group: "example.com", Name: plural, Schema: "v1." + plural})
		s := &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: "v1." + plural}}
		s.Spec.Group, s.Spec.Scope = "example.com", scope
		s.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: plural[:len(plural)-1], Kind: plural, ListKind: plural + "List"}
		for i, name := range []string{"v1", "v2"} {
			s.Spec.Versions = append(s.Spec.Versions, apisv1alpha1.APIResourceVersion{Name: name, Storage: i == 0, Schema: runtime.RawExtension{Raw: []byte(`{"type":"object"}`)}})
		}
		objects = append(objects, clienttest.In("provider", s))
	}
	return objects
}

const template = "root:teams:{namespace}"

// routed returns the HostBinding and the path of a request, "-" for several workspaces.
func routed(t *testing.T, e *Endpoint, method, path string) string {
	t.Helper()
	ctx, to, ok := e.Route(httptest.NewRequestWithContext(t.Context(), method, path, nil))
	if !ok {
		return ""
	}
	endpoint, ok := virtual.FromContext(ctx)
	if _, projected := routeFrom(ctx); !ok || !projected || endpoint.Kind != Name || endpoint.Cluster != "host" {
		t.Errorf("%s is for %+v", path, endpoint)
	}
	if to.Empty() {
		to = "-"
	}
	return endpoint.Name + " " + to.String()
}

func TestRoute(t *testing.T) {
	e, _, _ := newEndpoint(t, nil, append(newExport(),
		newHostBinding("teams", template, 2, "example.com/v1 Available", "example.com/v2 Conflict"),
		newHostBinding("late", "root:teams", 1, "example.com/v1 Pending"),
		newHostBinding("fixed", "root:teams:a", 3, "example.com/v2 Pending"),
		clienttest.In("elsewhere", newHostBinding("stray", template, 9, "stray.example.com/v1 Available")))...)
	if err := e.rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/apis/example.com/v1/namespaces/a/widgets":               "teams root:teams:a",
		"/apis/example.com/v1/namespaces/a/widgets/w":             "teams root:teams:a",
		"/apis/example.com/v1/namespaces/a/widgets/w/status":      "teams root:teams:a",
		"/apis/example.com/v1/watch/namespaces/a/widgets":         "teams root:teams:a",
		"/apis/example.com/v1/namespaces/new/widgets":             "teams root:teams:new",
		"/apis/example.com/v1/namespaces/a:b/widgets":             "teams -",
		"/apis/example.com/v1/namespaces/../widgets":              "teams -",
		"/apis/example.com/v1/widgets":                            "teams -",
		"/apis/example.com/v1/planets":                            "teams -", // not projected: a template has no place for them
		"/apis/example.com/v2/widgets":                            "fixed root:teams:a",
		"/apis/example.com/v2/namespaces/b/widgets":               "fixed root:teams:a",
		"/apis/example.com/v2/planets/p":                          "fixed root:teams:a",
		"/apis/example.com/v3/widgets":                            "",
		"/apis/stray.example.com/v1/widgets":                      "",
		"/apis/other.example.com/v1/namespaces/a/widgets":         "",
		"/api/v1/namespaces/a/widgets":                            "",
		"/clusters/a/apis/example.com/v1/namespaces/a/widgets":    "",
		"/apis/example.com/v1":                                    "",
		"/apis/example.com/v1/namespaces/a/gadgets":               "teams -",
		"/apis/example.com/v1/proxy/namespaces/a/widgets/w/x/y/z": "teams root:teams:a",
	} {
		if got := routed(t, e, http.MethodGet, path); got != want {
			t.Errorf("%s is for %q, want %q", path, got, want)
		}
	}
	if !e.Serves("example.com") || e.Serves("stray.example.com") || e.Serves("com") {
		t.Error("the wrong groups are projected")
	}
	// Of a resource only the versions that are projected are shown.
	var shown []string
	for _, p := range e.current.Load().all {
		for _, r := range p.shown {
			for _, v := range r.CRD.Spec.Versions {
				if v.Served {
					shown = append(shown, p.key.Name+" "+r.Plural+" "+v.Name)
				}
			}
		}
	}
	slices.Sort(shown)
	if diff := cmp.Diff([]string{"fixed planets v2", "fixed widgets v2", "late planets v1", "late widgets v1", "teams widgets v1"}, shown); diff != "" {
		t.Error(diff)
	}
}

// What serves a request may have been bound after the request was authorized, also for the request itself.
func TestOne_AsksTheProviderOfWhatServes(t *testing.T) {
	e, _, _ := newEndpoint(t, func(logicalcluster.Name) bool { return true })
	r := &route{info: &genericapirequest.RequestInfo{Verb: "get"}, projection: &projection{}}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for binding, refused := range map[string]bool{"limited": true, "free": false} {
		served := &catalog.Served{Resource: &catalog.Resource{Group: "example.com", Plural: "widgets", Binding: binding}}
		if _, err := e.one(t.Context(), req, r, "a", served); apierrors.IsForbidden(err) != refused || !refused && err != nil {
			t.Errorf("%s: %v", binding, err)
		}
	}
}

// Workspaces are made on demand only for users whom the parent lets in. Those of system:masters are made as the server, since admission
// would let masters leave out what a workspace inherits.
func TestCreateWorkspace_ForWhomAndByWhom(t *testing.T) {
	for name, tc := range map[string]struct {
		byHost, barred bool
		groups         []string
		want           string // who writes
	}{
		"by the host":                      {byHost: true, want: "the server"},
		"by the host, parent refuses":      {byHost: true, barred: true},
		"by the workspace":                 {want: "hank"},
		"by the workspace, parent refuses": {barred: true},
		"masters, by the host":             {byHost: true, groups: []string{user.SystemPrivilegedGroup}, want: "the server"},
		"masters, by the workspace":        {groups: []string{user.SystemPrivilegedGroup}, want: "the server"},
	} {
		t.Run(name, func(t *testing.T) {
			e, fake, _ := newEndpoint(t, func(in logicalcluster.Name) bool { return in != "teams" || !tc.barred })
			other := clienttest.NewFake()
			var as string
			e.As = func(u user.Info) client.Writer {
				as = u.GetName()
				return other
			}
			info := &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: "create", APIGroup: "example.com", APIVersion: "v1", Resource: "widgets", Namespace: "new"}
			ctx := genericapirequest.WithRequestInfo(t.Context(), info)
			ctx = genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: "hank", Groups: tc.groups})
			r := &route{info: info, path: "root:teams:new", projection: &projection{
				key: client.Key{Cluster: "host", Name: "widgets"}, byHost: tc.byHost, create: &annexv1alpha1.HostBindingCreate{},
			}}
			err := e.createWorkspace(ctx, r, client.Key{Cluster: "teams", Name: "new"})
			if refused := apierrors.IsForbidden(err); refused != (tc.want == "") || !refused && err != nil {
				t.Fatalf("got %v", err)
			}
			made := func(f *clienttest.Fake) bool {
				all, err := client.List[tenancyv1alpha1.Workspace](t.Context(), f, workspaces, client.Scope{})
				if err != nil {
					t.Fatal(err)
				}
				return len(all) > 0
			}
			switch tc.want {
			case "":
				if made(fake) || made(other) {
					t.Error("a workspace was made nevertheless")
				}
			case "the server":
				if !made(fake) || as != "" {
					t.Errorf("it was made by %q", as)
				}
			default:
				if !made(other) || as != tc.want {
					t.Errorf("it was made by %q", as)
				}
			}
		})
	}
}

// What is projected stays while what it is made of cannot be had: the host has it registered.
func TestRebuild_KeepsWhatIsRegistered(t *testing.T) {
	objects := newExport()
	binding := newHostBinding("teams", template, 2, "example.com/v1 Available")
	e, fake, watches := newEndpoint(t, nil, append(objects, binding)...)
	rebuild := func() *projection {
		t.Helper()
		if err := e.rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := e.current.Load().all; len(all) > 0 {
			return all[0]
		}
		return nil
	}
	first := rebuild()
	if first == nil || rebuild() != first {
		t.Fatalf("not projected, or made anew without need: %v", first)
	}
	ctx, done := watches.Hold(t.Context(), e.projected(first))
	defer done()
	if err := fake.Delete(t.Context(), exports, client.Key{Cluster: "provider", Name: "widgets"}, nil); err != nil {
		t.Fatal(err)
	}
	if rebuild() != first || !e.projected(first).Holds(ctx) || ctx.Err() != nil {
		t.Error("the export is gone, and what is registered with it")
	}
	change := binding.DeepCopy()
	change.Spec.Authorization = annexv1alpha1.AuthorizationHost
	change.Status.GroupVersions = nil
	if _, err := fake.Update(t.Context(), hostBindings, "host", change); err != nil {
		t.Fatal(err)
	}
	if rebuild() != nil {
		t.Error("what the controller took back is still projected")
	}
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Second):
		t.Error("what the controller took back is still watched")
	}
	if late, done := watches.Hold(t.Context(), e.projected(first)); late.Err() == nil {
		t.Error("a watch begins on what is gone")
		done()
	}
}

func TestRun_FollowsChanges(t *testing.T) {
	e, fake, _ := newEndpoint(t, nil, newExport()...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	eventually := func(what string, ok func() bool) {
		t.Helper()
		if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) { return ok(), nil }); err != nil {
			t.Fatal(what)
		}
	}
	eventually("ready", func() bool { return e.Ready() == nil })
	if _, err := fake.Create(ctx, hostBindings, "host", newHostBinding("teams", template, 2, "example.com/v1 Available")); err != nil {
		t.Fatal(err)
	}
	eventually("projected", func() bool { return e.Serves("example.com") })
	documents, err := discovery.New(discovery.Config{Container: restful.NewContainer(), OpenAPIV2: &openapicommon.Config{}, OpenAPIV3: &openapicommon.OpenAPIV3Config{}, Codecs: e.Codecs})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	documents.HandlerWithoutBase(e.Shown(), "").ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/apis/example.com/v1", nil))
	if recorder.Code != http.StatusOK || !strings.Contains(recorder.Body.String(), `"widgets"`) || strings.Contains(recorder.Body.String(), "planets") {
		t.Errorf("discovery: %d %s", recorder.Code, recorder.Body)
	}
	if err := fake.Delete(ctx, hostBindings, client.Key{Cluster: "host", Name: "teams"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually("gone", func() bool { return !e.Serves("example.com") })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func newTestShow(t *testing.T, e *Endpoint, path string, hidden bool) *show {
	t.Helper()
	p, err := e.project(t.Context(), newHostBinding("teams", path, 2, "example.com/v1 Available"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Verb: "list", IsResourceRequest: true})
	s, err := e.newShow(genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: "hank"}), p, hidden)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShow_WhatIsMappedAndAllowed(t *testing.T) {
	e, _, _ := newEndpoint(t, func(name logicalcluster.Name) bool { return name != "b" }, newExport()...)
	for _, tc := range []struct {
		path, cluster, namespace string
		want                     bool
	}{
		{template, "a", "a", true},
		{template, "a", "b", false},
		{template, "b", "b", false}, // not allowed
		{template, "deep", "a:b", false},
		{template, "deep", "b", false},
		{template, "teams", "", false},
		{template, "a", "", false},
		{template, "nobody", "a", false},
		{"teams:{namespace}", "a", "a", true}, // by the name of the cluster
		{"root:teams:{namespace}:b", "deep", "a", true},
		{"root:teams:{namespace}:b", "a", "a", false},
		{"root:teams:a", "a", "b", true},
		{"root:teams:a", "b", "b", false},
		{"teams", "teams", "x", true},
	} {
		if got := newTestShow(t, e, tc.path, false).Shows(head.Head{Cluster: logicalcluster.Name(tc.cluster), Namespace: tc.namespace}); got != tc.want {
			t.Errorf("%s shows %s in %s: %v, want %v", tc.path, tc.namespace, tc.cluster, got, tc.want)
		}
		if newTestShow(t, e, tc.path, true).Shows(head.Head{Cluster: logicalcluster.Name(tc.cluster), Namespace: tc.namespace}) {
			t.Errorf("%s shows %s in %s to a controller of the host", tc.path, tc.namespace, tc.cluster)
		}
	}
}

func TestShow_FollowsAWatch(t *testing.T) {
	allowed := true
	e, _, _ := newEndpoint(t, func(logicalcluster.Name) bool { return allowed }, newExport()...)
	known := e.Clusters.(clusters)
	s := newTestShow(t, e, template, false)
	follows := func(cluster logicalcluster.Name, namespace string, deleted bool) string {
		t.Helper()
		got, err := s.Follows(head.Head{Cluster: cluster, Namespace: namespace}, deleted)
		switch {
		case apierrors.IsResourceExpired(err):
			return "list again"
		case err != nil:
			t.Fatal(err)
		case got:
			return "shown"
		}
		return "hidden"
	}
	for _, tc := range []struct {
		what, want string
		got        func() string
	}{
		{"mapped", "shown", func() string { return follows("a", "a", false) }},
		{"not mapped", "hidden", func() string { return follows("a", "b", false) }},
		{"the end of a workspace that was shown", "shown", func() string {
			delete(known, "a")
			return follows("a", "a", true)
		}},
		{"the end of one that was not", "list again", func() string {
			delete(known, "b")
			return follows("b", "b", true)
		}},
		{"another in its place", "shown", func() string {
			known["a2"] = "root:teams:a"
			return follows("a2", "a", false)
		}},
		{"a permission that goes", "list again", func() string {
			allowed = false
			s.decisions["a2"] = decision{allowed: true, at: time.Now().Add(-decisionHolds)}
			return follows("a2", "a", false)
		}},
		{"without permission", "hidden", func() string { return follows("a2", "a", false) }},
	} {
		if got := tc.got(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, got, tc.want)
		}
	}
}

func TestAsStatus(t *testing.T) {
	if err := asStatus(nil, "x"); err != nil {
		t.Errorf("nothing is %v", err)
	}
	if err := asStatus(errors.New("etcd"), "reading"); !apierrors.IsInternalError(err) {
		t.Errorf("a fault is %v", err)
	}
	err := asStatus(apierrors.NewForbidden(workspaces, "x", errors.New("no")), "creating workspace root:x")
	if !apierrors.IsForbidden(err) || !strings.HasPrefix(err.Error(), "creating workspace root:x: ") {
		t.Errorf("a refusal is %v", err)
	}
}
