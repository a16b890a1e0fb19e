package authorization

import (
	"net/http"

	reviews "github.com/annex-dev/annex/registry/authorization"
)

// deepHeader requests a SubjectAccessReview that considers only RBAC.
const deepHeader = "X-Kcp-Internal-Deep-SubjectAccessReview"

// WithDeepReviews passes the header X-Kcp-Internal-Deep-SubjectAccessReview on to the storage of reviews, which honors it only
// for system:masters. Its position in the chain does not matter.
func WithDeepReviews(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(deepHeader) == "true" {
			r = r.WithContext(reviews.WithDeep(r.Context()))
		}
		next.ServeHTTP(w, r)
	})
}
