package operator

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestNew_NeedsOneWayToItsEndpoints(t *testing.T) {
	for _, options := range []Options{{}, {EndpointSlice: "a", Endpoint: "https://annex/services/apiexport/c/a"}, {Endpoint: "https://annex/services/apiexport/c/a/clusters/*"}} {
		if _, err := New(&rest.Config{Host: "https://annex/clusters/root"}, options); err == nil {
			t.Errorf("%q and %q are accepted", options.EndpointSlice, options.Endpoint)
		}
	}
}

// Through a host an endpoint has another URL than in the slice.
func TestEndpointURLs(t *testing.T) {
	slice := func(path string, urls ...string) *apisv1alpha1.APIExportEndpointSlice {
		s := &apisv1alpha1.APIExportEndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "slice"}}
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
		"not used yet":              {host + "root:p/proxy", slice(""), nil, false},
		"a child of the host's":     {host + "team/proxy", slice("", own), nil, true},
	} {
		got, err := endpointURLs(test.workspace, test.slice)
		if (err != nil) != test.fails || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, test.want)
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
