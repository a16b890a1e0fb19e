package operator

import (
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

func TestThroughHost(t *testing.T) {
	for _, host := range []string{"https://host", "https://host/"} {
		config := &rest.Config{Host: host, BearerTokenFile: "token"}
		got, err := ThroughHost(config, "root:org:p")
		if err != nil || got.Host != "https://host/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org:p/proxy" || got.BearerTokenFile != "token" || config.Host != host {
			t.Errorf("from %s: %v, %v", host, got, err)
		}
		// The endpoints of an export in this workspace are found from there.
		slice := &apisv1alpha1.APIExportEndpointSlice{}
		slice.Spec.APIExport.Name = "widgets"
		slice.Status.APIExportEndpoints = []apisv1alpha1.APIExportEndpoint{{URL: "https://annex"}}
		if urls, err := endpointURLs(got.Host, slice); err != nil || len(urls) != 1 || urls[0] != "https://host/apis/apis.kcp.io/v1alpha2/apiexports/root:org:p:widgets/proxy" {
			t.Errorf("the endpoints are %v, %v", urls, err)
		}
	}
	// The kubeconfig of a workspace is not one of the host.
	_, err := ThroughHost(&rest.Config{Host: "https://host/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org:p/proxy"}, "root:org:p")
	if err == nil || !strings.Contains(err.Error(), "needs a kubeconfig of the host") {
		t.Errorf("a kubeconfig of the workspace: %v", err)
	}
	for _, path := range []string{"", "*", "provider", "root:", "root:a/b", "Root:p", "system:admin"} {
		if got, err := ThroughHost(&rest.Config{Host: "https://host"}, path); err == nil {
			t.Errorf("%q leads to %s", path, got.Host)
		}
	}
}
