package apistatus

import (
	"context"
	"net/http"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
)

type undecidedKey struct{}

// Undecided notes that nobody can say right now whether the request of ctx is allowed, or whose it is. It is refused, and the client
// told to come again.
func Undecided(ctx context.Context) {
	if noted, ok := ctx.Value(undecidedKey{}).(*atomic.Bool); ok {
		noted.Store(true)
	}
}

// WithUndecided answers 503 where the stock filters answer 500, as for every error of the authorizer, or 401, as for every error of the
// authenticator. It belongs outside of the stock chain.
func WithUndecided(next http.Handler, codecs runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &atomic.Bool{}
		r = r.WithContext(context.WithValue(r.Context(), undecidedKey{}, noted))
		replacing(next, w, r, func(code int) (func(), bool) {
			return func() {
				w.Header().Set("Retry-After", "1")
				err := apierrors.NewServiceUnavailable("access cannot be checked right now, try again")
				responsewriters.ErrorNegotiated(err, codecs, schema.GroupVersion{Version: "v1"}, w, r)
			}, (code == http.StatusInternalServerError || code == http.StatusUnauthorized) && noted.Load()
		})
	})
}
