package frontdoor

import (
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
// storage of this server. What is left behind does not pass to a later namespace of the same name (server/admission/hostnamespace), and
// controllers/hostnamespace deletes it.
func orNothing(w http.ResponseWriter, r *http.Request, next func(http.ResponseWriter, *http.Request)) {
	ctx, cancel := context.WithTimeout(r.Context(), namespacePatience)
	defer cancel()
	answer := &unlessUnavailable{w: w, header: http.Header{}}
	if next(answer, r.WithContext(ctx)); answer.passed {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	text := nothingLeft
	if r.Method == http.MethodDelete {
		text = success
	}
	_, _ = io.WriteString(w, text)
}

// unlessUnavailable passes an answer on, unless it says that the server cannot answer for now.
type unlessUnavailable struct {
	w      http.ResponseWriter
	header http.Header
	// passed says that the answer has begun, and kept that there is one which is not passed on.
	passed, kept bool
}

// Header implements http.ResponseWriter.
func (u *unlessUnavailable) Header() http.Header {
	if u.passed {
		return u.w.Header()
	}
	return u.header
}

// WriteHeader implements http.ResponseWriter.
func (u *unlessUnavailable) WriteHeader(code int) {
	if u.passed || u.kept {
		return
	}
	if code >= http.StatusInternalServerError || code == http.StatusTooManyRequests {
		u.kept = true
		return
	}
	u.passed = true
	maps.Copy(u.w.Header(), u.header)
	u.w.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (u *unlessUnavailable) Write(data []byte) (int, error) {
	u.WriteHeader(http.StatusOK)
	if u.kept {
		return len(data), nil
	}
	return u.w.Write(data)
}

// Flush implements http.Flusher.
func (u *unlessUnavailable) Flush() {
	if flusher, ok := u.w.(http.Flusher); ok && u.passed {
		flusher.Flush()
	}
}
