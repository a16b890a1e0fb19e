package operator

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/client/event"
)

func TestNew_NeedsOneWayToItsEndpoints(t *testing.T) {
	for _, options := range []Options{{}, {EndpointSlice: "a", Endpoint: "https://annex/services/apiexport/c/a"}, {EndpointSlice: "a", Initializer: "team"}, {Endpoint: "https://annex/services/apiexport/c/a/clusters/*"}} {
		if _, err := New(&rest.Config{Host: "https://annex/clusters/root"}, options); err == nil {
			t.Errorf("%q and %q are accepted", options.EndpointSlice, options.Endpoint)
		}
	}
}

// Through a host an endpoint has another URL than in the slice.
func TestEndpointURLs(t *testing.T) {
	slice := func(path string, urls ...string) *apisv1alpha1.APIExportEndpointSlice {
		s := &apisv1alpha1.APIExportEndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "slice", Annotations: map[string]string{logicalcluster.AnnotationKey: "2f8kq1z0c7a9x3bd"}}}
		s.Spec.APIExport = apisv1alpha1.ExportBindingReference{Path: path, Name: "widgets"}
		for _, u := range urls {
			s.Status.APIExportEndpoints = append(s.Status.APIExportEndpoints, apisv1alpha1.APIExportEndpoint{URL: u})
		}
		return s
	}
	const own, host = "https://annex/services/apiexport/c/widgets", "https://host/apis/tenancy.kcp.io/v1alpha1/workspaces/"
	const export = "https://host/apis/apis.kcp.io/v1alpha2/apiexports/"
	for name, test := range map[string]struct {
		workspace string
		slice     *apisv1alpha1.APIExportEndpointSlice
		want      []string
		fails     bool
	}{
		"the server's own endpoint": {"https://annex/clusters/root:p", slice("", own, "https://other/x/"), []string{own, "https://other/x"}, false},
		"through a host":            {host + "root:p/proxy", slice("", own), []string{export + "root:p:widgets/proxy"}, false},
		"of another workspace":      {host + "root:p/proxy/", slice("root:q", own), []string{export + "root:q:widgets/proxy"}, false},
		"of its own, by its name":   {host + "root:p/proxy", slice("2f8kq1z0c7a9x3bd", own), []string{export + "root:p:widgets/proxy"}, false},
		"of another, by its name":   {host + "root:p/proxy", slice("3f8kq1z0c7a9x3bd", own), nil, true},
		"not used yet":              {host + "root:p/proxy", slice(""), nil, false},
		"a child of the host's":     {host + "team/proxy", slice("", own), nil, true},
	} {
		got, err := endpointURLs(test.workspace, test.slice)
		if (err != nil) != test.fails || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, test.want)
		}
	}
}

// The endpoint of an initializer is in the status of its type, and elsewhere through a host.
func TestInitializerURL(t *testing.T) {
	typ := func(initializer bool, addresses ...tenancyv1alpha1.VirtualWorkspace) *tenancyv1alpha1.WorkspaceType {
		w := &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
		w.Spec.Initializer, w.Status.VirtualWorkspaces = initializer, addresses
		return w
	}
	const own = "https://annex/services/initializingworkspaces/c:team"
	other := tenancyv1alpha1.VirtualWorkspace{URL: "https://annex/services/terminatingworkspaces/c:team", Type: tenancyv1alpha1.VirtualWorkspaceTypeTerminating}
	address := tenancyv1alpha1.VirtualWorkspace{URL: own, Type: tenancyv1alpha1.VirtualWorkspaceTypeInitializing}
	at := func(path string) string { return "https://host" + workspacesPath + path + "/proxy" }
	for name, test := range map[string]struct {
		workspace string
		typ       *tenancyv1alpha1.WorkspaceType
		want      string // empty for an error
	}{
		"the server's own endpoint": {"https://annex/clusters/root:p", typ(true, other, address), own},
		"through a host":            {at("root:p"), typ(true, other, address), "https://host/apis/tenancy.kcp.io/v1alpha1/workspacetypes/root:p:team/proxy/initializingworkspaces"},
		"a child of the host's":     {at("team"), typ(true, address), ""},
		"without an initializer":    {at("root:p"), typ(false, address), ""},
		"without an address":        {"https://annex/clusters/root:p", typ(true, other), ""},
	} {
		got, err := initializerURL(test.workspace, test.typ)
		if (err != nil) != (test.want == "") || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}

// Kinds of Kubernetes are known where discovery does not show them, and no others.
func TestMapper_KnowsBuiltInKinds(t *testing.T) {
	m := newMapper(meta.NewDefaultRESTMapper(nil))
	for kind, want := range map[schema.GroupVersionKind]string{
		corev1.SchemeGroupVersion.WithKind("Namespace"):       "namespaces root",
		corev1.SchemeGroupVersion.WithKind("Secret"):          "secrets namespace",
		rbacv1.SchemeGroupVersion.WithKind("RoleBinding"):     "rolebindings namespace",
		{Group: "example.com", Version: "v1", Kind: "Widget"}: "",
		{Group: "", Version: "v2", Kind: "Secret"}:            "",
	} {
		got := ""
		mapping, err := m.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil {
			got = mapping.Resource.Resource + " " + string(mapping.Scope.Name())
		}
		if got != want {
			t.Errorf("%s is %q, %v, want %q", kind, got, err, want)
		}
	}
}

// A request goes to the cluster that it names, and to none if it names none.
func TestTransport_NamesACluster(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { asked = append(asked, req.URL.Path) }))
	defer server.Close()
	located, err := newTransport(server.URL+"/services/x", http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	send := func(ctx context.Context, path string) error {
		at, err := url.Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response, err := located.RoundTrip((&http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: http.Header{}}).WithContext(ctx))
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	if err := send(in(t.Context(), "one"), "/services/x/clusters/*/api/v1/namespaces/default/configmaps/same"); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/services/x/clusters/*/api/v1/configmaps", "/services/x/clusters/other/api/v1/configmaps", "/clusters/*/api", "/services/x/clusters/*/api/v1/namespaces/a%2Fb"} {
		ctx := t.Context()
		if path != "/services/x/clusters/*/api/v1/configmaps" {
			ctx = in(ctx, "one")
		}
		if err := send(ctx, path); err == nil {
			t.Errorf("%s is sent", path)
		}
	}
	if want := []string{"/services/x/clusters/one/api/v1/namespaces/default/configmaps/same"}; !slices.Equal(asked, want) {
		t.Errorf("the server was asked %v, want %v", asked, want)
	}
}

// With several endpoints, a cluster is reached at the one that has objects of it.
func TestFleet_RefusesClustersThatNoEndpointLeadsTo(t *testing.T) {
	f := &fleet{endpoints: map[string]*endpoint{}}
	for _, name := range []logicalcluster.Name{"one", "", "*", "root:org", "../x"} {
		if _, err := f.at(name); err == nil {
			t.Errorf("%q is reached without an endpoint", name)
		}
	}
	f.endpoints["a"] = &endpoint{url: "a"}
	if e, err := f.at("one"); err != nil || e.url != "a" {
		t.Errorf("the only endpoint: %v, %v", e, err)
	}
	f.endpoints["b"] = &endpoint{url: "b"}
	if _, err := f.at("one"); err == nil {
		t.Error("one of two endpoints is guessed")
	}
}

// What is told as soon as there is a recorder is not lost: the writer of Events begins later.
func TestEvents_FirstOneIsWritten(t *testing.T) {
	fake := clienttest.NewFake()
	recorder := event.New(fake, "baker")
	w := newEventWriting(recorder, "baker")
	about := clienttest.In("one", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}})
	recorder.Record(about, corev1.SchemeGroupVersion.WithKind("ConfigMap"), corev1.EventTypeNormal, "Baked", "done")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	for len(fake.Writes()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	recorder.Record(about, corev1.SchemeGroupVersion.WithKind("ConfigMap"), corev1.EventTypeNormal, "Baked", "again")
	if got := len(fake.Writes()); got != 1 {
		t.Errorf("%d writes", got)
	}
}
