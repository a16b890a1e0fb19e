package apistatus

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

type outsideKey struct{}

// Refusal is why a workspace does not let a user in.
type Refusal struct {
	// Why is a sentence for the user.
	Why string
	// Inactive is whether the workspace is inactive, and would let the user in otherwise.
	Inactive bool
}

// Outside notes that a user is refused whatever the request of ctx asks for, because the workspace does not let the user in.
func Outside(ctx context.Context, refusal Refusal) {
	if noted, ok := ctx.Value(outsideKey{}).(*atomic.Pointer[Refusal]); ok {
		noted.Store(&refusal)
	}
}

// WithOutside makes a refusal readable for clients that ask, before all else, what is served and what version. They do not
// look into a Status there, and kubectl prints "Forbidden: unknown" for each of its attempts.
//
//   - /api and /apis answer with what shown gives, and the sentence as a warning, which clients print once. That nothing is
//     served, the plugin of kcp takes for a refusal, too.
//   - Other refused requests for documents get 403 with the sentence as text, if the client takes text.
//
// It belongs outside of what counts refusals.
func WithOutside(next http.Handler, shown func(Refusal) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Trim(r.URL.Path, "/")
		empty := path == "api" || path == "apis"
		if r.Method != http.MethodGet || !empty && (path != "version" && !strings.HasPrefix(path, "openapi/") || !takesText(r)) {
			next.ServeHTTP(w, r)
			return
		}
		noted := &atomic.Pointer[Refusal]{}
		r = r.WithContext(context.WithValue(r.Context(), outsideKey{}, noted))
		replacing(next, w, r, func(code int) (func(), bool) {
			refusal := noted.Load()
			return func() {
				if !empty {
					http.Error(w, refusal.Why, code)
					return
				}
				if warning, err := utilnet.NewWarningHeader(299, "-", refusal.Why); err == nil {
					w.Header().Add("Warning", warning)
				}
				shown(*refusal).ServeHTTP(w, r)
			}, code == http.StatusForbidden && refusal != nil
		})
	})
}

// takesText reports whether the client takes any answer.
func takesText(r *http.Request) bool {
	for _, accepted := range r.Header.Values("Accept") {
		if strings.Contains(accepted, "*/*") || strings.Contains(accepted, "text/plain") {
			return true
		}
	}
	return len(r.Header.Values("Accept")) == 0
}
