package operator

import (
	"fmt"
	"regexp"
	"strings"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// hostPath matches the URL of a workspace through a host.
var hostPath = regexp.MustCompile(`^(.*)/apis/tenancy\.kcp\.io/v1alpha1/workspaces/([^/]+)/proxy/?$`)

// endpointURLs returns the endpoints of slice for who reads it at the URL of its workspace. The URLs in its status lead to the server's own
// endpoint; through a host an export has another one.
func endpointURLs(workspace string, slice *apisv1alpha1.APIExportEndpointSlice) ([]string, error) {
	var urls []string
	for _, endpoint := range slice.Status.APIExportEndpoints {
		urls = append(urls, strings.TrimSuffix(endpoint.URL, "/"))
	}
	through := hostPath.FindStringSubmatch(workspace)
	if through == nil || len(urls) == 0 {
		return urls, nil
	}
	host, here, export := through[1], through[2], slice.Spec.APIExport
	if export.Path != "" {
		here = export.Path
	}
	if here != "root" && !strings.Contains(here, ":") {
		return nil, fmt.Errorf("the URL %s names a child of the host's workspace: use the absolute path of the workspace", workspace)
	}
	return []string{host + "/apis/apis.kcp.io/v1alpha2/apiexports/" + here + ":" + export.Name + "/proxy"}, nil
}
