package serve

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
)

// whole reports whether the stock handlers encode the answer to a list as a whole. They encode objects one by one in JSON that is not
// indented, and in protobuf.
func whole(req *http.Request, codecs runtime.NegotiatedSerializer) bool {
	how, info, err := negotiation.NegotiateOutputMediaType(req, codecs, convertible{})
	switch {
	case err != nil:
		return false // refused
	case info.PrettySerializer != nil && info.Serializer == info.PrettySerializer, how.Accepted.MediaType == runtime.ContentTypeYAML:
		return true
	}
	return how.Convert != nil && how.Convert.Kind == "Table" && metav1.IncludeObjectPolicy(req.URL.Query().Get("includeObject")) == metav1.IncludeObject
}

// convertible allows what stock handlers can convert lists to.
type convertible struct{}

// AllowsMediaTypeTransform implements negotiation.EndpointRestrictions.
func (convertible) AllowsMediaTypeTransform(_, _ string, _ *schema.GroupVersionKind) bool {
	return true
}

// AllowsServerVersion implements negotiation.EndpointRestrictions.
func (convertible) AllowsServerVersion(string) bool { return false }

// AllowsStreamSchema implements negotiation.EndpointRestrictions.
func (convertible) AllowsStreamSchema(string) bool { return false }
