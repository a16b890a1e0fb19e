package authentication

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
)

func TestItself(t *testing.T) {
	alice, bob := &user.DefaultInfo{Name: "alice", UID: "1"}, &user.DefaultInfo{Name: "bob"}
	for name, tc := range map[string]struct {
		header        string
		authenticated user.Info
		current       user.Info
		want          bool
	}{
		"alice":                    {"", alice, alice, true},
		"alice as bob":             {"bob", alice, bob, false},
		"alice as alice":           {"alice", alice, alice, false},
		"bob in the place of her":  {"", alice, bob, false},
		"another with her name":    {"", alice, &user.DefaultInfo{Name: "alice", UID: "2"}, false},
		"nobody":                   {"", alice, nil, false},
		"who is not authenticated": {"", nil, alice, false},
	} {
		got := true
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if tc.header != "" {
			req.Header.Set("Impersonate-User", tc.header)
		}
		WithRequestor(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if tc.authenticated != nil {
				noteRequestor(r.Context(), tc.authenticated)
			}
			got = Itself(r.Context(), tc.current)
		})).ServeHTTP(httptest.NewRecorder(), req)
		if got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if Itself(t.Context(), alice) {
		t.Error("without a request")
	}
}
