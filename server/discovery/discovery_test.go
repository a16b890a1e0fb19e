package discovery

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/emicklei/go-restful/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apidiscovery "k8s.io/apiserver/pkg/endpoints/discovery"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/common"

	"github.com/annex-dev/annex/registry/catalog"
)

var everything = metav1.Verbs{"create", "get", "list", "watch"}

// container serves namespaces, roles and, for clusters that bind them, workspaces.
func container() *restful.Container {
	c := restful.NewContainer()
	add := func(group, version string, resources ...metav1.APIResource) {
		gv := schema.GroupVersion{Group: group, Version: version}
		ws := new(restful.WebService)
		ws.Path("/api/" + version)
		if group != "" {
			ws.Path("/apis/" + group + "/" + version)
		}
		lister := apidiscovery.APIResourceListerFunc(func() []metav1.APIResource { return resources })
		apidiscovery.NewAPIVersionHandler(apiserver.Codecs, gv, lister).AddToWebService(ws)
		c.Add(ws)
		if group != "" {
			known := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: version}
			c.Add(apidiscovery.NewAPIGroupHandler(apiserver.Codecs, metav1.APIGroup{
				Name: group, Versions: []metav1.GroupVersionForDiscovery{known}, PreferredVersion: known,
			}).WebService())
		}
	}
	add("", "v1", metav1.APIResource{Name: "namespaces", SingularName: "namespace", Kind: "Namespace", Verbs: everything, ShortNames: []string{"ns"}},
		metav1.APIResource{Name: "namespaces/status", Kind: "Namespace", Verbs: metav1.Verbs{"get"}})
	add("rbac.authorization.k8s.io", "v1", metav1.APIResource{Name: "roles", SingularName: "role", Kind: "Role", Namespaced: true, Verbs: everything})
	add("tenancy.kcp.io", "v1alpha1", metav1.APIResource{Name: "workspaces", SingularName: "workspace", Kind: "Workspace", Verbs: everything})
	return c
}

func newDiscovery(t *testing.T) *Discovery {
	t.Helper()
	namer := apiopenapi.NewDefinitionNamer(apiserver.Scheme)
	d, err := New(Config{
		Container: container(),
		OpenAPIV3: genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer),
		OpenAPIV2: genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer),
		IsBound:   func(gr schema.GroupResource) bool { return gr.Group == "tenancy.kcp.io" },
		Codecs:    apiserver.Codecs,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// custom returns a resource that is served in the given versions, the first of which is stored.
func custom(t *testing.T, group, plural, kind string, change func(*catalog.Resource), versions ...string) *catalog.Resource {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group}}
	crd.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: group, Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List", ShortNames: []string{"wd"}},
	}
	for i, version := range versions {
		crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: version, Served: true, Storage: i == 0,
			Subresources: &apiextensionsv1.CustomResourceSubresources{
				Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
				Scale:  &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.r", StatusReplicasPath: ".status.r"},
			},
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
					"spec": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"color": {Type: "string", Description: "What it looks like."}}},
				},
			}},
		})
	}
	shared, err := catalog.New(catalog.Config{}).ResourceOf(crd, catalog.LocalBucket)
	if err != nil {
		t.Fatal(err)
	}
	own := *shared
	if change != nil {
		change(&own)
	}
	return &own
}

func terminating(r *catalog.Resource) { r.Terminating = true }

func workspaces(terminating bool) *catalog.Resource {
	return &catalog.Resource{Group: "tenancy.kcp.io", Plural: "workspaces", Hash: "typed", Bucket: "id", Typed: true, Terminating: terminating}
}

// serve returns a client of a cluster with the given resources.
func serve(t *testing.T, handler http.Handler) *discovery.DiscoveryClient {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// describe returns groups as "group: version version" and resources as "group/version resource verbs".
func describe(t *testing.T, client *discovery.DiscoveryClient) (groups, resources []string) {
	t.Helper()
	allGroups, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range allGroups {
		text := g.Name + ":"
		for _, v := range g.Versions {
			text += " " + v.Version
		}
		if g.PreferredVersion.Version != g.Versions[0].Version {
			t.Errorf("group %s prefers %s", g.Name, g.PreferredVersion.Version)
		}
		groups = append(groups, text)
	}
	for _, list := range lists {
		for _, r := range list.APIResources {
			verbs := slices.Clone(r.Verbs)
			slices.Sort(verbs)
			resources = append(resources, list.GroupVersion+" "+r.Name+" "+r.Kind+" "+strings.Join(verbs, ","))
		}
	}
	slices.Sort(resources)
	return groups, resources
}

const all = "create,delete,deletecollection,get,list,patch,update,watch"

func TestHandler_Discovery(t *testing.T) {
	base := []string{
		"rbac.authorization.k8s.io/v1 roles Role create,get,list,watch",
		"v1 namespaces Namespace create,get,list,watch",
		"v1 namespaces/status Namespace get",
	}
	widgets := func(version, verbs string) []string {
		return []string{
			"example.com/" + version + " widgets Widget " + verbs,
			"example.com/" + version + " widgets/scale Scale get,patch,update",
			"example.com/" + version + " widgets/status Widget get,patch,update",
		}
	}
	for _, tc := range []struct {
		name          string
		resources     []*catalog.Resource
		wantGroups    []string
		wantResources []string
	}{
		{name: "base alone", wantGroups: []string{": v1", "rbac.authorization.k8s.io: v1"}, wantResources: base},
		{
			name: "versions in their usual order", resources: []*catalog.Resource{custom(t, "example.com", "widgets", "Widget", nil, "v1beta1", "v2", "v1")},
			wantGroups:    []string{": v1", "rbac.authorization.k8s.io: v1", "example.com: v2 v1 v1beta1"},
			wantResources: slices.Concat(base, widgets("v1", all), widgets("v2", all), widgets("v1beta1", all)),
		},
		{
			name: "terminating", resources: []*catalog.Resource{custom(t, "example.com", "widgets", "Widget", terminating, "v1")},
			wantGroups:    []string{": v1", "rbac.authorization.k8s.io: v1", "example.com: v1"},
			wantResources: slices.Concat(base, widgets("v1", strings.TrimPrefix(all, "create,"))),
		},
		{
			name: "typed", resources: []*catalog.Resource{workspaces(false)},
			wantGroups:    []string{": v1", "rbac.authorization.k8s.io: v1", "tenancy.kcp.io: v1alpha1"},
			wantResources: append(slices.Clone(base), "tenancy.kcp.io/v1alpha1 workspaces Workspace create,get,list,watch"),
		},
		{
			name: "typed and terminating", resources: []*catalog.Resource{workspaces(true)},
			wantGroups:    []string{": v1", "rbac.authorization.k8s.io: v1", "tenancy.kcp.io: v1alpha1"},
			wantResources: append(slices.Clone(base), "tenancy.kcp.io/v1alpha1 workspaces Workspace get,list,watch"),
		},
		{
			name: "in the group of a built-in", resources: []*catalog.Resource{custom(t, "rbac.authorization.k8s.io", "rolls", "Roll", nil, "v1", "v2")},
			wantGroups: []string{": v1", "rbac.authorization.k8s.io: v2 v1"},
			wantResources: append(slices.Clone(base),
				"rbac.authorization.k8s.io/v1 rolls Roll "+all, "rbac.authorization.k8s.io/v1 rolls/scale Scale get,patch,update", "rbac.authorization.k8s.io/v1 rolls/status Roll get,patch,update",
				"rbac.authorization.k8s.io/v2 rolls Roll "+all, "rbac.authorization.k8s.io/v2 rolls/scale Scale get,patch,update", "rbac.authorization.k8s.io/v2 rolls/status Roll get,patch,update"),
		},
	} {
		slices.Sort(tc.wantResources)
		for _, legacy := range []bool{false, true} {
			name := tc.name + ", aggregated"
			if legacy {
				name = tc.name + ", legacy"
			}
			t.Run(name, func(t *testing.T) {
				client := serve(t, newDiscovery(t).Handler(catalog.NewSnapshot(tc.resources...), "c"))
				client.UseLegacyDiscovery = legacy
				groups, resources := describe(t, client)
				slices.Sort(groups)
				slices.Sort(tc.wantGroups)
				if !slices.Equal(groups, tc.wantGroups) {
					t.Errorf("groups %q, want %q", groups, tc.wantGroups)
				}
				if !slices.Equal(resources, tc.wantResources) {
					t.Errorf("resources\n%s\nwant\n%s", strings.Join(resources, "\n"), strings.Join(tc.wantResources, "\n"))
				}
			})
		}
	}
}

func TestHandlerWithoutBase_ShowsTheSnapshotAlone(t *testing.T) {
	d := newDiscovery(t)
	client := serve(t, d.HandlerWithoutBase(catalog.NewSnapshot(custom(t, "example.com", "widgets", "Widget", nil, "v1")), "c"))
	for _, legacy := range []bool{false, true} {
		client.UseLegacyDiscovery = legacy
		if groups, _ := describe(t, client); !slices.Equal(groups, []string{"example.com: v1"}) {
			t.Errorf("groups %q", groups)
		}
	}
	paths, err := client.OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != 1 || paths["apis/example.com/v1"] == nil {
		t.Errorf("OpenAPI of %v", paths)
	}
}

func TestHandler_SharesDocuments(t *testing.T) {
	d := newDiscovery(t)
	widgets := custom(t, "example.com", "widgets", "Widget", nil, "v1")
	elsewhere := *widgets
	elsewhere.Bucket, elsewhere.Binding = "identity", "b"
	if d.Handler(catalog.NewSnapshot(widgets), "c").(*set).groups != d.Handler(catalog.NewSnapshot(&elsewhere), "d").(*set).groups {
		t.Error("clusters that serve the same have documents of their own")
	}
	if d.Handler(catalog.NewSnapshot(widgets), "c").(*set).groups == d.HandlerWithoutBase(catalog.NewSnapshot(widgets), "c").(*set).groups {
		t.Error("with and without base are one")
	}
}

// Clients that read the document without knowing its type need both.
func TestHandler_GroupsHaveVersionAndKind(t *testing.T) {
	server := httptest.NewServer(newDiscovery(t).Handler(catalog.NewSnapshot(), "c"))
	t.Cleanup(server.Close)
	groups := metav1.APIGroupList{}
	if err := json.Unmarshal([]byte(get(t, server.URL+"/apis", http.StatusOK, nil)), &groups); err != nil {
		t.Fatal(err)
	}
	if groups.APIVersion != "v1" || groups.Kind != "APIGroupList" || len(groups.Groups) == 0 {
		t.Errorf("the list of groups is %q %q with %d groups", groups.APIVersion, groups.Kind, len(groups.Groups))
	}
}

// The document is kept, and each answer has version and kind. The race detector sees a shared one at once, the test by itself seldom.
func TestHandler_AggregatedAnswersAtTheSameTimeHaveVersionAndKind(t *testing.T) {
	handler := newDiscovery(t).Handler(catalog.NewSnapshot(custom(t, "example.com", "widgets", "Widget", nil, "v1", "v2")), "c")
	ask := func() error {
		req := httptest.NewRequest(http.MethodGet, "/apis", http.NoBody)
		req.Header.Set("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		list := metav1.PartialObjectMetadataList{}
		if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil {
			return err
		}
		if list.APIVersion != "apidiscovery.k8s.io/v2" || list.Kind != "APIGroupDiscoveryList" || len(list.Items) == 0 {
			return fmt.Errorf("%d groups of %q %q", len(list.Items), list.APIVersion, list.Kind)
		}
		return nil
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 100 {
				if err := ask(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestHandler_OpenAPIV3(t *testing.T) {
	d := newDiscovery(t)
	widgets := custom(t, "example.com", "widgets", "Widget", nil, "v1", "v2")
	server := httptest.NewServer(d.Handler(catalog.NewSnapshot(widgets, workspaces(false)), "c"))
	t.Cleanup(server.Close)
	index := struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}{}
	if err := json.Unmarshal([]byte(get(t, server.URL+"/openapi/v3", http.StatusOK, nil)), &index); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"api/v1", "apis/example.com/v1", "apis/example.com/v2", "apis/tenancy.kcp.io/v1alpha1", "apis/rbac.authorization.k8s.io/v1"} {
		where := index.Paths[path].ServerRelativeURL
		if !strings.HasPrefix(where, "/openapi/v3/"+path+"?hash=") {
			t.Errorf("%s is at %q", path, where)
			continue
		}
		header := http.Header{}
		get(t, server.URL+where, http.StatusOK, header)
		if header.Get("Cache-Control") != "public, immutable" {
			t.Errorf("%s: Cache-Control %q", path, header.Get("Cache-Control"))
		}
		// Never a redirect, which a host would turn into an error.
		header = http.Header{}
		get(t, server.URL+"/openapi/v3/"+path+"?hash=OLD", http.StatusOK, header)
		if header.Get("Cache-Control") != "" {
			t.Errorf("%s by an old hash: Cache-Control %q", path, header.Get("Cache-Control"))
		}
	}
	if doc := get(t, server.URL+"/openapi/v3/apis/example.com/v1", http.StatusOK, nil); !strings.Contains(doc, "What it looks like.") || strings.Contains(doc, "/v2/") {
		t.Error("the document of v1 lacks the schema or holds that of v2")
	}
	get(t, server.URL+"/openapi/v3/apis/nope/v1", http.StatusNotFound, nil)

	client := serve(t, d.Handler(catalog.NewSnapshot(widgets), "c"))
	paths, err := client.OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	if paths["apis/tenancy.kcp.io/v1alpha1"] != nil {
		t.Error("a cluster that binds nothing shows workspaces")
	}
	for _, contentType := range []string{"application/json", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"} {
		if content, err := paths["apis/example.com/v1"].Schema(contentType); err != nil || len(content) == 0 {
			t.Errorf("%s: %d bytes, error %v", contentType, len(content), err)
		}
	}
}

func TestHandler_OpenAPIV3OfOneSchemaIsSharedAndNamed(t *testing.T) {
	d := newDiscovery(t)
	widgets, gadgets := custom(t, "example.com", "widgets", "Widget", nil, "v1"), custom(t, "other.com", "gadgets", "Gadget", nil, "v1")
	// docs returns documents, and how many entries of the cache it took to read that of widgets in both forms.
	docs := func(resources ...*catalog.Resource) (docs map[string]*document3, entries int) {
		t.Helper()
		before := d.config.Cache.kept.Len()
		handler := d.Handler(catalog.NewSnapshot(resources...), "c")
		docs, err := handler.(*set).documents3()
		if err != nil {
			t.Fatal(err)
		}
		for _, accept := range []string{"application/json", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi/v3/apis/example.com/v1", nil)
			r.Header.Set("Accept", accept)
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Fatalf("%s: %d", accept, w.Code)
			}
		}
		return docs, d.config.Cache.kept.Len() - before
	}
	one, first := docs(widgets)
	_, second := docs(widgets, gadgets)
	// The list of groups is another one.
	if first < 5 || second > 1 {
		t.Errorf("the document takes %d entries, and %d beside another resource", first, second)
	}
	sprockets := custom(t, "example.com", "sprockets", "Sprocket", nil, "v1")
	third, more := docs(sprockets, widgets)
	if one["apis/example.com/v1"].etag == third["apis/example.com/v1"].etag {
		t.Error("two documents have one hash")
	}
	// The types that every resource has are there.
	if more >= first-5 {
		t.Errorf("one more resource takes %d entries, the first one took %d", more, first)
	}
}

func TestHandler_OpenAPIV2(t *testing.T) {
	d := newDiscovery(t)
	client := serve(t, d.Handler(catalog.NewSnapshot(custom(t, "example.com", "widgets", "Widget", nil, "v1")), "c"))
	doc, err := client.OpenAPISchema()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range doc.GetPaths().GetPath() {
		found[path.GetName()] = true
	}
	if !found["/apis/example.com/v1/namespaces/{namespace}/widgets"] || !found["/api/v1/"] || found["/apis/tenancy.kcp.io/v1alpha1/"] {
		t.Errorf("paths %v", found)
	}
}

func TestHandler_RefusesWhatItDoesNotServe(t *testing.T) {
	server := httptest.NewServer(newDiscovery(t).Handler(catalog.NewSnapshot(), "c"))
	t.Cleanup(server.Close)
	for _, path := range []string{"/apis/nope", "/apis/nope/v1", "/api/v2", "/apis/tenancy.kcp.io", "/apis/tenancy.kcp.io/v1alpha1", "/openapi/v4", "/apis/a/b/c"} {
		status := metav1.Status{}
		if err := json.Unmarshal([]byte(get(t, server.URL+path, http.StatusNotFound, nil)), &status); err != nil || status.Kind != "Status" {
			t.Errorf("%s: %v %v", path, status, err)
		}
	}
	resp, err := http.Post(server.URL+"/apis", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", resp.StatusCode)
	}
}

// get returns the body at url, which must answer with the given status and never redirect; header takes the answer's.
func get(t *testing.T, url string, want int, header http.Header) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want {
		t.Fatalf("%s: status %d, want %d: %s", url, resp.StatusCode, want, body)
	}
	for key, values := range resp.Header {
		if header != nil {
			header[key] = values
		}
	}
	return string(body)
}

// Dozens of clients that start at once must not make the server build the same document dozens of times.
func TestOpenAPI2_IsBuiltOnce(t *testing.T) {
	d := newDiscovery(t)
	var builds atomic.Int32
	definitions := d.config.OpenAPIV2.GetDefinitions
	counting := *d.config.OpenAPIV2
	counting.GetDefinitions = func(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
		builds.Add(1)
		return definitions(ref)
	}
	d.config.OpenAPIV2 = &counting
	handler := d.Handler(catalog.NewSnapshot(), "c")
	ask := func() int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi/v2", nil))
		return w.Code
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if code := ask(); code != http.StatusOK {
				t.Errorf("code %d", code)
			}
		})
	}
	group.Wait()
	all := builds.Load()
	d.config.Cache.kept.Clear()
	ask()
	if one := builds.Load() - all; all != one {
		t.Errorf("eight requests at once take %d steps of building, one takes %d", all, one)
	}
}

// A client that changes a schema and reads its documents, again and again, must neither fill the memory nor evict what others have.
func TestCache_OneWorkspaceHasAShare(t *testing.T) {
	d := newDiscovery(t)
	const capacity = 4 << 20
	d.config.Cache = NewCache(capacity)
	ask := func(handler http.Handler, path string) {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, w.Code)
		}
	}
	quiet := d.Handler(catalog.NewSnapshot(custom(t, "quiet.com", "widgets", "Widget", nil, "v1")), "quiet")
	ask(quiet, "/openapi/v3/apis/quiet.com/v1")
	kept := d.config.Cache.kept.Len()
	const turns = 200
	for i := range turns {
		busy := d.Handler(catalog.NewSnapshot(custom(t, "example.com", "widgets", fmt.Sprint("Widget", i), nil, "v1")), "busy")
		for _, path := range []string{"/apis", "/apis/example.com/v1", "/openapi/v3", "/openapi/v3/apis/example.com/v1"} {
			ask(busy, path)
		}
	}
	bytes, limit := d.config.Cache.Bytes()
	if limit != capacity || bytes > capacity/2 || d.config.Cache.kept.Len() >= turns {
		t.Errorf("%d of %d bytes are kept, in %d documents", bytes, limit, d.config.Cache.kept.Len())
	}
	if _, ok := d.config.Cache.kept.Get(cacheKey{"groups", d, quiet.(*set).key.String()}); !ok || kept != 2 {
		t.Error("what another workspace has was evicted")
	}
}
