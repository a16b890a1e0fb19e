package apistatus

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWithOutside(t *testing.T) {
	const why = `workspace "root:a" does not exist, or you may not enter it`
	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("nothing")) })
	for name, tc := range map[string]struct {
		method, path, accept string
		code                 int
		inside               bool // whether the user is refused for another reason
		wantCode             int
		wantBody             string
		warned               bool
	}{
		"what is served":           {"GET", "/apis", "application/json", 403, false, 200, "nothing", true},
		"what the core serves":     {"GET", "/api/", "application/json", 403, false, 200, "nothing", true},
		"the version":              {"GET", "/version", "application/json, */*", 403, false, 403, why + "\n", false},
		"the version, as JSON":     {"GET", "/version", "application/json", 403, false, 403, "status", false},
		"a document":               {"GET", "/openapi/v3", "", 403, false, 403, why + "\n", false},
		"an object":                {"GET", "/api/v1/namespaces/default", "*/*", 403, false, 403, "status", false},
		"a write":                  {"POST", "/apis", "*/*", 403, false, 403, "status", false},
		"refused for other things": {"GET", "/apis", "*/*", 403, true, 403, "status", false},
		"served":                   {"GET", "/apis", "*/*", 200, true, 200, "status", false},
		"not refused but limited":  {"GET", "/apis", "*/*", 429, false, 429, "status", false},
	} {
		t.Run(name, func(t *testing.T) {
			handler := WithOutside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !tc.inside {
					Outside(r.Context(), Refusal{Why: why})
				}
				w.Header().Set("X-Content-Type-Options", "nosniff")
				w.WriteHeader(tc.code)
				_, _ = w.Write([]byte("status"))
			}), func(Refusal) http.Handler { return nothing })
			r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, nil)
			if tc.accept != "" {
				r.Header.Set("Accept", tc.accept)
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, r)
			if answer.Code != tc.wantCode || answer.Body.String() != tc.wantBody {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, tc.wantCode, tc.wantBody)
			}
			warning := ""
			if tc.warned {
				warning = `299 - "workspace \"root:a\" does not exist, or you may not enter it"`
			}
			if got := answer.Header().Get("Warning"); got != warning {
				t.Errorf("warning %q, want %q", got, warning)
			}
		})
	}
	Outside(t.Context(), Refusal{Why: why}) // nobody listens
}
