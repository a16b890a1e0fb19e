package serve

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

const acceptHeader = "Accept"

// acceptable returns the request without a preference for protobuf, if the objects that it asks for cannot be encoded so and it takes something
// else as well. Stock handlers would take the first media type that the server knows at all, and answer 406. The namespace controller
// of a host asks in this way, for all kinds. For custom resources, the stock handler does the same. Metadata alone can be protobuf.
func (s *Server) acceptable(req *http.Request, info *genericapirequest.RequestInfo) *http.Request {
	if s.config.Plain == nil || !s.config.Plain(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}) {
		return req
	}
	before := req.Header.Get(acceptHeader)
	var kept []string
	for clause := range strings.SplitSeq(before, ",") {
		if media, parameters, _ := strings.Cut(clause, ";"); strings.TrimSpace(media) != runtime.ContentTypeProtobuf || hasParameter(parameters, "as") {
			kept = append(kept, clause)
		}
	}
	after := strings.Join(kept, ",")
	if after == before || after == "" {
		return req
	}
	req = req.WithContext(req.Context())
	req.Header = req.Header.Clone()
	req.Header.Set(acceptHeader, after)
	return req
}

// hasParameter reports whether the parameters of a media type, such as "as=Table;v=v1", have one of that name.
func hasParameter(parameters, name string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		if key, _, _ := strings.Cut(strings.TrimSpace(parameter), "="); key == name {
			return true
		}
	}
	return false
}
