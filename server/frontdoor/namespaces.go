package frontdoor

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// namespaceController is the controller of the host that deletes what is in a namespace, and remoteUser the header in which a host says who
	// sends a request.
	namespaceController = "system:serviceaccount:kube-system:namespace-controller"
	remoteUser          = "X-Remote-User"
	// namespacePatience is how long that controller waits for each of its requests.
	namespacePatience = 5 * time.Second

	nothingLeft = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{},"items":[]}`
	success     = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`
)

// emptiesNamespace reports whether a request is one by which the namespace controller of the host empties a namespace of objects that belong to it.
// Nobody has authenticated it yet: whoever pretends to be that controller gets an empty list in place of an error, and no more.
func (h *Host) emptiesNamespace(r *http.Request, segments []string) bool {
	if len(segments) != 7 || segments[4] != "namespaces" || r.Header.Get(remoteUser) != namespaceController || r.URL.Query().Has("watch") {
		return false
	}
	return (r.Method == http.MethodGet || r.Method == http.MethodDelete) && h.InNamespaces(schema.GroupResource{Group: segments[2], Resource: segments[6]})
}

// orNothing serves such a request, and says that there is nothing to delete if it cannot be served for now: no namespace of the host waits for the
// storage of this server. What is left behind belongs to a namespace that does not exist, so it gives nobody anything, and
// controllers/hostnamespace deletes it.
func orNothing(w http.ResponseWriter, r *http.Request, next func(http.ResponseWriter, *http.Request)) {
	ctx, cancel := context.WithTimeout(r.Context(), namespacePatience)
	defer cancel()
	answer := &answer{header: http.Header{}}
	next(answer, r.WithContext(ctx))
	if answer.code != 0 && answer.code < http.StatusInternalServerError && answer.code != http.StatusTooManyRequests {
		maps.Copy(w.Header(), answer.header)
		w.WriteHeader(answer.code)
		_, _ = io.Copy(w, &answer.body) // the client may be gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	text := nothingLeft
	if r.Method == http.MethodDelete {
		text = success
	}
	_, _ = io.WriteString(w, text)
}

// answer keeps what a handler answers.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}

// Flush implements http.Flusher. The answer is sent when it is complete.
func (a *answer) Flush() {}
