package frontdoor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// No namespace of the host waits for the storage of this server; nobody else is told that there is nothing.
func TestDoor_NamespacesOfTheHostWaitForNothing(t *testing.T) {
	const url = "/apis/annex.dev/v1alpha1/namespaces/team-a/workspaceclaims"
	for name, tc := range map[string]struct {
		method, url, user string
		inner             int
		want              int
		body              string
	}{
		"a list":                     {http.MethodGet, url, namespaceController, 200, 200, "inner"},
		"a list that fails":          {http.MethodGet, url, namespaceController, 503, 200, `"items":[]`},
		"a list that waits":          {http.MethodGet, url, namespaceController, 504, 200, `"items":[]`},
		"a list without a seat":      {http.MethodGet, url, namespaceController, 429, 200, `"items":[]`},
		"a list without an answer":   {http.MethodGet, url, namespaceController, 0, 200, `"items":[]`},
		"a refusal":                  {http.MethodGet, url, namespaceController, 403, 403, "inner"},
		"a deletion":                 {http.MethodDelete, url, namespaceController, 200, 200, "inner"},
		"a deletion that fails":      {http.MethodDelete, url, namespaceController, 500, 200, `"status":"Success"`},
		"somebody else":              {http.MethodGet, url, "alice", 503, 503, "inner"},
		"nobody":                     {http.MethodGet, url, "", 503, 503, "inner"},
		"a creation":                 {http.MethodPost, url, namespaceController, 503, 503, "inner"},
		"a watch":                    {http.MethodGet, url + "?watch=true", namespaceController, 503, 503, "inner"},
		"one object":                 {http.MethodDelete, url + "/app", namespaceController, 503, 503, "inner"},
		"objects of no namespace":    {http.MethodGet, "/apis/annex.dev/v1alpha1/workspaceclaims", namespaceController, 503, 503, "inner"},
		"what has no host namespace": {http.MethodGet, "/apis/annex.dev/v1alpha1/namespaces/team-a/others", namespaceController, 503, 503, "inner"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !ShownByHost(r.Context()) {
					t.Error("it does not reach the host workspace")
				}
				if tc.inner != 0 {
					w.WriteHeader(tc.inner)
					_, _ = io.WriteString(w, "inner")
				}
			})
			handler := With(inner, Config{
				Resolver: resolver{"root:org": "abc123"},
				Codecs:   serializer.NewCodecFactory(runtime.NewScheme()),
				Host: &Host{
					Workspace: "root:org", Serves: func(group string) bool { return group == "annex.dev" },
					InNamespaces: func(gr schema.GroupResource) bool { return gr.String() == "workspaceclaims.annex.dev" },
					Projections:  projections{},
				},
			})
			request := httptest.NewRequestWithContext(t.Context(), tc.method, tc.url, nil)
			request.Header.Set(remoteUser, tc.user)
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			if recorder.Code != tc.want || !strings.Contains(recorder.Body.String(), tc.body) {
				t.Errorf("the answer is %d %s, want %d with %s", recorder.Code, recorder.Body, tc.want, tc.body)
			}
		})
	}
}
