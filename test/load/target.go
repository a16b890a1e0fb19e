package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// rootCluster is the path under which all workspaces of a run are made.
const rootCluster = "root"

// target is a server with the kcp API. Hosts of both credentials are without a
// path, like "https://127.0.0.1:6443".
type target struct {
	admin      *rest.Config // may do everything below root
	privileged *rest.Config // system:masters where the kubeconfig has it
}

// loadTarget reads the two contexts of a kubeconfig. Without the privileged one
// the ordinary one takes its place.
func loadTarget(path, context, privilegedContext string) (*target, error) {
	raw, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	load := func(context string) (*rest.Config, error) {
		if raw.Contexts[context] == nil {
			names := slices.Sorted(maps.Keys(raw.Contexts))
			return nil, fmt.Errorf("kubeconfig %s has no context %q, only %s", path, context, strings.Join(names, ", "))
		}
		c, err := clientcmd.NewNonInteractiveClientConfig(*raw, context, nil, nil).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("reading context %q of kubeconfig %s: %w", context, path, err)
		}
		c.Host = baseURL(c.Host)
		return c, nil
	}
	t := &target{}
	if t.admin, err = load(context); err != nil {
		return nil, err
	}
	t.privileged = t.admin
	if raw.Contexts[privilegedContext] != nil {
		if t.privileged, err = load(privilegedContext); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// loadPlain reads the current context of a kubeconfig.
func loadPlain(path string) (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return c, nil
}

// baseURL cuts "/clusters/..." off, for kubeconfigs that have no context
// without it.
func baseURL(host string) string {
	base, _, _ := strings.Cut(host, "/clusters/")
	return strings.TrimSuffix(base, "/")
}

// clusterURL is where the API of the workspace with the path begins. The path
// may be "*".
func clusterURL(base, path string) string {
	return base + "/clusters/" + path
}

// connection is one client of a server, with TCP connections of its own. Safe
// for many goroutines.
type connection struct {
	config *rest.Config
	http   *http.Client
}

// connect returns a new client. It never shares a connection with another one:
// over a single HTTP/2 connection many clients would wait for each other, and
// the figures would tell about that connection instead of the server.
func connect(c *rest.Config) (*connection, error) {
	c = rest.CopyConfig(c)
	c.QPS = -1 // the server's pace, not ours
	// client-go keeps one transport for equal settings; a dialer makes ours
	// unequal.
	c.Dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	httpClient, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("making an HTTP client: %w", err)
	}
	return &connection{config: c, http: httpClient}, nil
}

// connectAll returns n clients.
func connectAll(c *rest.Config, n int) ([]*connection, error) {
	all := make([]*connection, n)
	for i := range all {
		var err error
		if all[i], err = connect(c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// at returns the dynamic client for the API that begins at the URL.
func (c *connection) at(url string) (dynamic.Interface, error) {
	config := rest.CopyConfig(c.config)
	config.Host = url
	client, err := dynamic.NewForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", url, err)
	}
	return client, nil
}

// cluster returns the dynamic client for the workspace with the path.
func (c *connection) cluster(path string) (dynamic.Interface, error) {
	return c.at(clusterURL(c.config.Host, path))
}

// close ends idle connections, so that they cost the server nothing while it is
// being measured.
func (c *connection) close() {
	c.http.CloseIdleConnections()
}

func closeAll(all []*connection) {
	for _, c := range all {
		if c != nil {
			c.close()
		}
	}
}
