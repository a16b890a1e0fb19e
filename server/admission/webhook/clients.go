package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	admissionv1beta1 "k8s.io/api/admission/v1beta1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/server/outbound"
)

// clients makes the clients of webhooks. Those of the stock plugins are kept in a cache that is bounded by their number, and each may hold
// megabytes of certificates. These belong to their webhooks, and are dropped with them.
type clients struct {
	guard      *outbound.Guard
	services   bool
	serializer runtime.NegotiatedSerializer
}

func newClients(guard *outbound.Guard, services bool) (*clients, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{admissionv1.AddToScheme, admissionv1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing to send reviews: %w", err)
		}
	}
	codec := serializer.NewCodecFactory(scheme).LegacyCodec(admissionv1beta1.SchemeGroupVersion, admissionv1.SchemeGroupVersion)
	return &clients{guard: guard, services: services, serializer: serializer.NegotiatedSerializerWrapper(runtime.SerializerInfo{Serializer: codec})}, nil
}

// with returns a webhook with a client of ours, which is made when it is first called.
func (c *clients) with(hook webhook.WebhookAccessor) webhook.WebhookAccessor {
	return &guarded{WebhookAccessor: hook, client: sync.OnceValues(func() (*rest.RESTClient, error) { return c.of(hook.GetClientConfig()) })}
}

type guarded struct {
	webhook.WebhookAccessor
	client func() (*rest.RESTClient, error)
}

// GetRESTClient implements webhook.WebhookAccessor.
func (g *guarded) GetRESTClient(*webhookutil.ClientManager) (*rest.RESTClient, error) {
	return g.client()
}

// of returns a client that reaches one webhook and nothing else.
func (c *clients) of(to admissionregistrationv1.WebhookClientConfig) (*rest.RESTClient, error) {
	config := c.guard.ClientConfig()
	config.QPS = -1 // fairness limits requests before
	config.CAData = to.CABundle
	config.NextProtos = []string{"http/1.1"} // HTTP/2 would send all requests to one of several backends
	config.NegotiatedSerializer, config.ContentType = c.serializer, runtime.ContentTypeJSON
	switch {
	case to.Service != nil && !c.services:
		return nil, fmt.Errorf("a workspace has no service %s in namespace %s: webhooks need a url", to.Service.Name, to.Service.Namespace)
	case to.Service != nil:
		port := 443
		if to.Service.Port != nil {
			port = int(*to.Service.Port)
		}
		config.ServerName = to.Service.Name + "." + to.Service.Namespace + ".svc"
		config.Host = "https://" + net.JoinHostPort(config.ServerName, strconv.Itoa(port))
		if to.Service.Path != nil {
			config.APIPath = *to.Service.Path
		}
	case to.URL != nil:
		u, err := url.Parse(*to.URL)
		if err != nil {
			return nil, fmt.Errorf("reading the url: %w", err)
		}
		config.Host, config.APIPath = u.Scheme+"://"+u.Host, u.Path
	default:
		return nil, errors.New("there is neither a url nor a service")
	}
	return rest.UnversionedRESTClientFor(config)
}

// noClients is for the stock plugins, which make no client themselves.
type noClients struct{}

var errNoClient = errors.New("webhooks are called by clients of their own")

// ClientConfigFor implements webhookutil.AuthenticationInfoResolver.
func (noClients) ClientConfigFor(string) (*rest.Config, error) { return nil, errNoClient }

// ClientConfigForService implements webhookutil.AuthenticationInfoResolver.
func (noClients) ClientConfigForService(string, string, int) (*rest.Config, error) {
	return nil, errNoClient
}
