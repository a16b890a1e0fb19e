package schema

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// discreetSuffix tells the keys of handlers for consumers from hashes.
const discreetSuffix = " for consumers"

// hooksFor returns the webhooks of a resource, and whether they are for consumers: where the webhook of a provider is and why it cannot be called
// is not their affair. The provider learns it at its own endpoint, where the resource is not bound.
func (h *Handlers) hooksFor(resource *catalog.Resource) (Webhooks, bool) {
	if resource.Provider.Empty() || !convertsByWebhook(resource.CRD) {
		return h.config.Webhooks, false
	}
	return discreet{h.config.Webhooks, resource.Provider, resource.GroupResource().String(), h.waitsOf(resource.Provider)}, true
}

// discreet are webhooks that do not say why they cannot be called, and for which few requests wait long.
type discreet struct {
	Webhooks
	provider logicalcluster.Name
	resource string
	waits    *waits
}

// ClientConfigFor implements webhook.AuthenticationInfoResolver.
func (d discreet) ClientConfigFor(host string) (*rest.Config, error) {
	config, err := d.Webhooks.ClientConfigFor(host)
	if err == nil {
		config.Wrap(func(to http.RoundTripper) http.RoundTripper { return discreetTripper{to, d} })
	}
	return config, err
}

// discreetTripper answers in the place of a webhook that does not.
type discreetTripper struct {
	http.RoundTripper
	of discreet
}

// RoundTrip implements http.RoundTripper. The answer to a request that fails is a review that failed: the client puts the URL into errors.
func (t discreetTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := t.of.waits.roundTrip(t.RoundTripper, request)
	if err == nil && answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	code := 0
	if answer != nil {
		code = answer.StatusCode
		_ = answer.Body.Close()
	}
	klog.FromContext(request.Context()).V(2).Info("A conversion webhook cannot be called", "cluster", t.of.provider, "resource", t.of.resource, "code", code, "reason", err)
	var asked struct {
		metav1.TypeMeta `json:",inline"`
		Request         struct {
			UID types.UID `json:"uid"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, err
	}
	review := apiextensionsv1.ConversionReview{TypeMeta: asked.TypeMeta, Response: &apiextensionsv1.ConversionResponse{ // v1beta1 has the same fields
		UID: asked.Request.UID, ConvertedObjects: []runtime.RawExtension{},
		Result: metav1.Status{Status: metav1.StatusFailure, Message: "the webhook of the provider of " + t.of.resource + " cannot be called"},
	}}
	return reviewed(request, &review)
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (t discreetTripper) WrappedRoundTripper() http.RoundTripper { return t.RoundTripper }
