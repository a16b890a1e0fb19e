package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestEarlierDeadline_LeavesTimeForTheAnswer(t *testing.T) {
	for name, test := range map[string]struct{ limit, wantEarly time.Duration }{
		"a usual request": {time.Minute, time.Second},
		"a short request": {time.Second, 100 * time.Millisecond},
		"a watch":         {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // time stands still
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				var limit time.Time
				if test.limit > 0 {
					limit = time.Now().Add(test.limit)
					ctx, cancel := context.WithDeadline(request.Context(), limit)
					defer cancel()
					request = request.WithContext(ctx)
				}
				withEarlierDeadline(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					deadline, ok := r.Context().Deadline()
					if ok != (test.limit > 0) {
						t.Fatalf("deadline: %v, %v", deadline, ok)
					}
					if early := limit.Sub(deadline); ok && early != test.wantEarly {
						t.Errorf("the work ends %s early, want %s", early, test.wantEarly)
					}
				})).ServeHTTP(httptest.NewRecorder(), request)
			})
		})
	}
}
