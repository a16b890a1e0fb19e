package crowd

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// ClusterURL is where the API of the workspace with the path begins. The path
// may be "*".
func ClusterURL(base, path string) string {
	return base + "/clusters/" + path
}

// Connection is one client of a server, with TCP connections of its own. Safe
// for many goroutines.
type Connection struct {
	Config *rest.Config
	HTTP   *http.Client
}

// Connect returns a new client. It never shares a connection with another one:
// over a single HTTP/2 connection many clients would wait for each other, and
// the figures would tell about that connection instead of the server. A dialer in c is kept.
func Connect(c *rest.Config) (*Connection, error) {
	c = rest.CopyConfig(c)
	c.QPS = -1 // the server's pace, not ours
	// client-go keeps one transport for equal settings; a dialer makes ours
	// unequal.
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	httpClient, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("making an HTTP client: %w", err)
	}
	return &Connection{Config: c, HTTP: httpClient}, nil
}

// ConnectAll returns n clients.
func ConnectAll(c *rest.Config, n int) ([]*Connection, error) {
	all := make([]*Connection, n)
	for i := range all {
		var err error
		if all[i], err = Connect(c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// At returns the dynamic client for the API that begins at the URL.
func (c *Connection) At(url string) (dynamic.Interface, error) {
	config := rest.CopyConfig(c.Config)
	config.Host = url
	client, err := dynamic.NewForConfigAndClient(config, c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", url, err)
	}
	return client, nil
}

// Cluster returns the dynamic client for the workspace with the path.
func (c *Connection) Cluster(path string) (dynamic.Interface, error) {
	return c.At(ClusterURL(c.Config.Host, path))
}

// Close ends idle connections, so that they cost the server nothing while it is
// being measured.
func (c *Connection) Close() {
	c.HTTP.CloseIdleConnections()
}

// CloseAll closes those of the clients that are there.
func CloseAll(all []*Connection) {
	for _, c := range all {
		if c != nil {
			c.Close()
		}
	}
}
