package schema

import (
	"errors"
	"net/url"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Webhooks connects converters to the webhooks of definitions. server/conversion does.
type Webhooks interface {
	webhook.AuthenticationInfoResolver
	webhook.ServiceResolver
}

// unguarded is for handlers that are built without Webhooks. The stock converter would connect to anything then.
type unguarded struct{}

var errUnguarded = errors.New("conversion webhooks are not called here")

// ClientConfigFor implements webhook.AuthenticationInfoResolver.
func (unguarded) ClientConfigFor(string) (*rest.Config, error) { return nil, errUnguarded }

// ClientConfigForService implements webhook.AuthenticationInfoResolver.
func (unguarded) ClientConfigForService(string, string, int) (*rest.Config, error) {
	return nil, errUnguarded
}

// ResolveEndpoint implements webhook.ServiceResolver.
func (unguarded) ResolveEndpoint(string, string, int32) (*url.URL, error) { return nil, errUnguarded }

// through returns what the stock converter asks for clients, in the place of what it has by itself.
func through(hooks Webhooks) webhook.AuthenticationInfoResolverWrapper {
	return func(webhook.AuthenticationInfoResolver) webhook.AuthenticationInfoResolver { return hooks }
}

// hasRules reports whether an APIConversion converts the objects of a definition.
func hasRules(definition *apiextensionsv1.CustomResourceDefinition) bool {
	_, ok := definition.Annotations[apisv1alpha2.AnnotationConversionKey]
	return ok
}

// convertsByWebhook reports whether a webhook converts the objects of a definition.
func convertsByWebhook(definition *apiextensionsv1.CustomResourceDefinition) bool {
	conversion := definition.Spec.Conversion
	return conversion != nil && conversion.Strategy == apiextensionsv1.WebhookConverter
}
