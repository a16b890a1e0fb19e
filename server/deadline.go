package server

import (
	"context"
	"net/http"
	"time"
)

const (
	// deadlineShare of the time that is left to a request is kept for its answer, but not more than deadlineMost.
	deadlineShare = 10
	deadlineMost  = time.Second
)

// withEarlierDeadline ends what a request waits for shortly before the stock timeout filter gives up on it. That filter
// answers 504 only while nobody else has begun to answer. A read that ends at the same instant begins to, with the error of
// its storage, and then the filter can but break the connection off: the client would learn nothing.
func withEarlierDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline, ok := r.Context().Deadline()
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		early := min(time.Until(deadline)/deadlineShare, deadlineMost)
		ctx, cancel := context.WithDeadline(r.Context(), deadline.Add(-early))
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
