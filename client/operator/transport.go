package operator

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const wildcard = "/clusters/*"

type clusterKey struct{}

// in returns a context whose requests go to cluster.
func in(ctx context.Context, cluster logicalcluster.Name) context.Context {
	return context.WithValue(ctx, clusterKey{}, cluster)
}

// transport sends requests for the wildcard URL of an endpoint to the cluster that their context names, and refuses others. So one client, with
// its connections and what it knows of resources, serves all clusters.
type transport struct {
	next http.RoundTripper
	path string // of the wildcard URL
}

// newTransport returns a transport for an endpoint.
func newTransport(endpoint string, next http.RoundTripper) (*transport, error) {
	at, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("reading the URL of an endpoint: %w", err)
	}
	return &transport{next: next, path: at.Path + wildcard}, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	cluster, ok := req.Context().Value(clusterKey{}).(logicalcluster.Name)
	rest, below := strings.CutPrefix(req.URL.Path, t.path+"/")
	// Nothing in the path of an object has a slash.
	if !ok || !below || strings.Contains(strings.ToLower(req.URL.RawPath), "%2f") {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("a request for %s must name one cluster", req.URL.Path)
	}
	req = req.Clone(req.Context())
	req.URL.Path = strings.TrimSuffix(t.path, "*") + string(cluster) + "/" + rest
	req.URL.RawPath = ""
	return t.next.RoundTrip(req)
}
