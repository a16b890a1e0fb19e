package auditing

import (
	"maps"
	"net/http"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
)

// sentURI is the annotation that takes the URI to the backend. Events do not have it.
const sentURI = "annex.dev/sent-uri"

// Note records the URI of a request as the client sent it, in the audit context of the request.
func Note(req *http.Request) {
	if sent := req.RequestURI; sent != "" && sent != req.URL.RequestURI() {
		audit.AddAuditAnnotation(req.Context(), sentURI, sent)
	}
}

// Backend is an audit.Backend with events as clients sent their requests.
type Backend struct{ audit.Backend }

// ProcessEvents implements audit.Sink. An event belongs to its request: the copy that is changed shares everything else.
func (b Backend) ProcessEvents(events ...*auditinternal.Event) bool {
	sent := make([]*auditinternal.Event, len(events))
	for i, event := range events {
		sent[i] = asSent(event)
	}
	return b.Backend.ProcessEvents(sent...)
}

func asSent(event *auditinternal.Event) *auditinternal.Event {
	uri, ok := event.Annotations[sentURI]
	if !ok {
		return event
	}
	sent := *event
	sent.RequestURI = uri
	sent.Annotations = maps.Clone(event.Annotations)
	delete(sent.Annotations, sentURI)
	return &sent
}
