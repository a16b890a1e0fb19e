package apistatus

import (
	"context"
	"net/http"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

type undecidedKey struct{}

// Undecided notes that nobody can say right now whether the request of ctx is allowed. It is refused, and the client told to
// come again.
func Undecided(ctx context.Context) {
	if noted, ok := ctx.Value(undecidedKey{}).(*atomic.Bool); ok {
		noted.Store(true)
	}
}

// WithUndecided answers 503 where the stock authorization filter answers 500, as it does for every error of the authorizer. It
// belongs outside of the stock chain.
func WithUndecided(next http.Handler, codecs runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &atomic.Bool{}
		r = r.WithContext(context.WithValue(r.Context(), undecidedKey{}, noted))
		writer := &writer{ResponseWriter: w, undecided: noted, instead: func() {
			err := apierrors.NewServiceUnavailable("access cannot be checked right now, try again")
			responsewriters.ErrorNegotiated(err, codecs, schema.GroupVersion{Version: "v1"}, w, r)
		}}
		next.ServeHTTP(responsewriter.WrapForHTTP1Or2(writer), r)
	})
}

// writer replaces an answer of 500 to a request that was not decided about.
type writer struct {
	http.ResponseWriter
	undecided *atomic.Bool
	instead   func()
	replaced  bool
}

var _ responsewriter.UserProvidedDecorator = &writer{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(code int) {
	if code != http.StatusInternalServerError || !w.undecided.Load() || w.replaced {
		w.ResponseWriter.WriteHeader(code)
		return
	}
	w.replaced = true
	w.Header().Set("Retry-After", "1")
	w.Header().Del("X-Content-Type-Options")
	w.instead()
}

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
