package apistatus

import (
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// replacing serves a request, and gives another answer where instead has one for the code of the answer. Instead may set headers only
// if it has one.
func replacing(next http.Handler, w http.ResponseWriter, r *http.Request, instead func(code int) (answer func(), ok bool)) {
	next.ServeHTTP(responsewriter.WrapForHTTP1Or2(&writer{ResponseWriter: w, instead: instead}), r)
}

// writer replaces an answer.
type writer struct {
	http.ResponseWriter
	instead  func(code int) (answer func(), ok bool)
	replaced bool
}

var _ responsewriter.UserProvidedDecorator = &writer{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(code int) {
	if w.replaced {
		return
	}
	answer, ok := w.instead(code)
	if !ok {
		w.ResponseWriter.WriteHeader(code)
		return
	}
	w.replaced = true
	w.Header().Del("X-Content-Type-Options")
	answer()
}

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
