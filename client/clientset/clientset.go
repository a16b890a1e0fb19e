package clientset

import (
	"fmt"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// Clusters has a clientset for each logical cluster.
type Clusters[C any] interface {
	// Cluster returns the clientset of the cluster at a path, such as root:org:team or 2f8kq1z0c7a9x3bd. Its requests fail if that is no path of
	// one cluster.
	Cluster(path logicalcluster.Path) C
}

// NewForConfig returns the clientsets of Annex's own kinds; see [For].
func NewForConfig(config *rest.Config) (Clusters[versioned.Interface], error) {
	return For(config, func(c *rest.Config, h *http.Client) (versioned.Interface, error) {
		return versioned.NewForConfigAndClient(c, h)
	})
}

// For returns clientsets that newClientset makes, which is NewForConfigAndClient of a generated package. The Host of the config has no cluster, or any:
// what follows /clusters/ in it is replaced, so that it can be the URL of a server, of a workspace, or of a provider's endpoint.
func For[C any](config *rest.Config, newClientset func(*rest.Config, *http.Client) (C, error)) (Clusters[C], error) {
	config = rest.CopyConfig(config)
	config.Host, _, _ = strings.Cut(config.Host, "/clusters/")
	config.Host = strings.TrimSuffix(config.Host, "/")
	if config.RateLimiter == nil && config.QPS == 0 {
		config.QPS = -1 // the server limits its clients
	}
	connections, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to %s: %w", config.Host, err)
	}
	c := &clusters[C]{config: config, connections: connections, newClientset: newClientset}
	// Whatever is wrong with the config shows here.
	if _, err := c.at("root", connections); err != nil {
		return nil, fmt.Errorf("preparing a clientset for %s: %w", config.Host, err)
	}
	return c, nil
}

type clusters[C any] struct {
	config       *rest.Config
	connections  *http.Client
	newClientset func(*rest.Config, *http.Client) (C, error)
}

func (c *clusters[C]) at(path logicalcluster.Path, by *http.Client) (C, error) {
	config := rest.CopyConfig(c.config)
	config.Host += "/clusters/" + string(path)
	return c.newClientset(config, by)
}

// Cluster implements Clusters.
func (c *clusters[C]) Cluster(path logicalcluster.Path) C {
	by := c.connections
	if err := check(path); err != nil {
		path, by = "root", &http.Client{Transport: refusal{err}}
	}
	// For has made one with this config.
	made, _ := c.at(path, by)
	return made
}

// check returns an error unless path leads to one cluster.
func check(path logicalcluster.Path) error {
	if path == logicalcluster.Wildcard {
		return fmt.Errorf("%q is all clusters, and a clientset is for one: use client/remote or client/informer", path)
	}
	_, err := logicalcluster.ParsePath(string(path))
	return err
}

// refusal sends nothing.
type refusal struct{ err error }

// RoundTrip implements http.RoundTripper.
func (r refusal) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, r.err
}
