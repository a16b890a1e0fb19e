package offer

import (
	"context"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

const (
	// pathHeader asks the endpoint of an APIExport for the path of the workspace of each object.
	pathHeader = "Annex-Workspace-Path"
	// bindingPage is how many APIBindings one answer holds.
	bindingPage = 500
)

// withPaths is a transport that asks for paths.
type withPaths struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w withPaths) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set(pathHeader, "true")
	return w.next.RoundTrip(req)
}

// Consumers returns the paths of the workspaces that bind an APIExport, by their logical clusters. config leads to the endpoint of the APIExport for
// all its consumers. A workspace whose path the provider does not see is left out.
func Consumers(ctx context.Context, config *rest.Config) (map[logicalcluster.Name]logicalcluster.Path, error) {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return withPaths{next} })
	clients, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	found := map[logicalcluster.Name]logicalcluster.Path{}
	options := metav1.ListOptions{Limit: bindingPage}
	for {
		list, err := clients.ApisV1alpha2().APIBindings().List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("listing the consumers: %w", err)
		}
		for i := range list.Items {
			if path := list.Items[i].Annotations[logicalcluster.PathAnnotationKey]; path != "" {
				found[logicalcluster.From(&list.Items[i])] = logicalcluster.Path(path)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return found, nil
		}
	}
}
