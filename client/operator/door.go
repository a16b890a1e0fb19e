package operator

import (
	"fmt"
	"regexp"
	"strings"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Paths of a host that lead to Annex.
const (
	workspacesPath     = "/apis/tenancy.kcp.io/v1alpha1/workspaces/"
	workspaceTypesPath = "/apis/tenancy.kcp.io/v1alpha1/workspacetypes/"
	exportsPath        = "/apis/apis.kcp.io/v1alpha2/apiexports/"
)

// hostPath matches the URL of a workspace through a host.
var hostPath = regexp.MustCompile(`^(.*)` + regexp.QuoteMeta(workspacesPath) + `([^/]+)/proxy/?$`)

// splitHost returns the URL of the host, and the workspace as it is in the URL, if workspace is a URL through a host.
func splitHost(workspace string) (host, here string, ok bool) {
	through := hostPath.FindStringSubmatch(workspace)
	if through == nil {
		return "", "", false
	}
	return through[1], through[2], true
}

// absolute is an error if here, which is in the URL of a workspace, is no absolute path.
func absolute(url, here string) error {
	if here != "root" && !strings.Contains(here, ":") {
		return fmt.Errorf("the URL %s names a child of the host's workspace: use the absolute path of the workspace", url)
	}
	return nil
}

// endpointURLs returns the endpoints of slice for who reads it at the URL of its workspace. The URLs in its status lead to the server's own
// endpoint; through a host an export has another one.
func endpointURLs(workspace string, slice *apisv1alpha1.APIExportEndpointSlice) ([]string, error) {
	var urls []string
	for _, endpoint := range slice.Status.APIExportEndpoints {
		urls = append(urls, strings.TrimSuffix(endpoint.URL, "/"))
	}
	host, here, ok := splitHost(workspace)
	if !ok || len(urls) == 0 {
		return urls, nil
	}
	// The slice that Annex makes for each export names its own workspace by the name of the logical cluster, which no host has heard of.
	export := slice.Spec.APIExport
	if export.Path != "" && export.Path != string(logicalcluster.From(slice)) {
		here = export.Path
	}
	if err := absolute(workspace, here); err != nil {
		return nil, err
	}
	return []string{host + exportsPath + here + ":" + export.Name + "/proxy"}, nil
}
