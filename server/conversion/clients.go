package conversion

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/server/outbound"
)

const (
	// Timeout is how long a webhook may take to answer. Kubernetes waits as long.
	Timeout = 30 * time.Second
	// growth is how many bytes an answer may have for each byte that is sent, in addition to what any answer may have. A converter may note the
	// whole object in an annotation of what it returns.
	growth = 1
)

// Clients makes the configurations of clients for conversion webhooks.
type Clients struct {
	guard    *outbound.Guard
	services bool
}

var _ schema.Webhooks = &Clients{}

// New returns Clients whose requests guard makes. With services, webhooks may be services of the host cluster.
func New(guard *outbound.Guard, services bool) *Clients {
	return &Clients{guard: guard, services: services}
}

// ClientConfigFor implements webhook.AuthenticationInfoResolver. There are no credentials for anybody.
func (c *Clients) ClientConfigFor(string) (*rest.Config, error) {
	config := c.guard.EchoConfig(growth)
	config.Timeout = Timeout
	config.Wrap(func(to http.RoundTripper) http.RoundTripper { return once{to} })
	return config, nil
}

// ClientConfigForService implements webhook.AuthenticationInfoResolver. That there are no services is an error of each request, because a
// definition is also served in versions that nothing has to be converted to.
func (c *Clients) ClientConfigForService(name, namespace string, port int) (*rest.Config, error) {
	config, err := c.ClientConfigFor(net.JoinHostPort(name+"."+namespace+".svc", strconv.Itoa(port)))
	if err != nil || c.services {
		return config, err
	}
	config.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, fmt.Errorf("a workspace has no service %s in namespace %s: webhooks need a url", name, namespace)
	}
	return config, nil
}

// ResolveEndpoint implements webhook.ServiceResolver: the name of a service is resolved when the connection is made.
func (c *Clients) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(name+"."+namespace+".svc", strconv.Itoa(int(port)))}, nil
}

var _ webhook.ServiceResolver = &Clients{}

// once sends a request once: the client would send it ten times if the answers ask for that, after whatever time they say.
type once struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o once) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := o.RoundTripper.RoundTrip(request)
	if answer != nil {
		answer.Header.Del("Retry-After")
	}
	return answer, err
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (o once) WrappedRoundTripper() http.RoundTripper { return o.RoundTripper }
