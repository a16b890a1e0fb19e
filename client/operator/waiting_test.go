package operator

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

// A manager says what it waits for once, and again after a while; and not when it waits no longer.
func TestWaiting_SaysWhatIsMissing(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	w := &waiting{where: []any{"server", "https://annex/clusters/root:wrong"}}
	now := time.Now()
	for i, step := range []struct {
		message string
		err     error
		after   time.Duration
		says    string // nothing if empty
	}{
		{says: ""},
		{message: waitsForRead, err: errors.New("forbidden"), says: `"error"="forbidden"`},
		{message: waitsForSlice, says: "there is none of this name"},
		{message: waitsForSlice},
		{message: waitsForConsumer, says: "nobody has bound the export yet"},
		{},
		{message: waitsForConsumer, says: `"server"="https://annex/clusters/root:wrong"`},
		{message: waitsForConsumer, after: remindEvery - 2*lookEvery},
		{message: waitsForConsumer, says: "nobody has bound the export yet"},
		{message: waitsForConsumer},
	} {
		w.set(step.message, step.err)
		now, lines = now.Add(lookEvery+step.after), nil
		w.look(log, now)
		if got := strings.Join(lines, "\n"); (step.says == "") != (got == "") || !strings.Contains(got, step.says) {
			t.Errorf("step %d says %q, want %q", i, got, step.says)
		}
	}
}

// What is missing depends on what the server of the kubeconfig says.
func TestFollowSlice_KnowsWhatItWaitsFor(t *testing.T) {
	const none = `{"kind":"APIExportEndpointSliceList","apiVersion":"apis.kcp.io/v1alpha1","metadata":{"resourceVersion":"1"},"items":[]}`
	const unused = `{"kind":"APIExportEndpointSliceList","apiVersion":"apis.kcp.io/v1alpha1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"widgets"}}]}`
	const notFound = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
	for name, test := range map[string]struct {
		code int
		list string
		want string
		path string // of the server in the kubeconfig
	}{
		"another workspace":         {http.StatusOK, none, waitsForSlice, ""},
		"nobody has bound it":       {http.StatusOK, unused, waitsForConsumer, ""},
		"credentials for elsewhere": {http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`, waitsForRead, ""},
		"no host":                   {http.StatusNotFound, notFound, waitsForHost, "/clusters/root:p" + workspacesPath + "root:p/proxy"},
		"no host, and no workspace": {http.StatusNotFound, notFound, waitsForRead, "/clusters/root:p"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if req.URL.Query().Get("watch") != "" && test.code == http.StatusOK {
					if req.URL.Query().Get("sendInitialEvents") != "" {
						w.WriteHeader(http.StatusUnprocessableEntity) // then the reflector lists
						_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`))
						return
					}
					w.WriteHeader(http.StatusOK)
					w.(http.Flusher).Flush()
					<-req.Context().Done()
					return
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.list))
			}))
			defer server.Close()
			ctx, cancel := context.WithCancel(t.Context())
			missing := &waiting{}
			ended := make(chan error, 1)
			go func() {
				ended <- followSliceOf(ctx, &rest.Config{Host: server.URL + test.path}, "widgets", missing, func([]string) error { return nil }, func() {})
			}()
			var got string
			var err error
			if wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
				got, err = missing.get()
				return got == test.want && (err != nil) == (test.code != http.StatusOK), nil
			}) != nil {
				t.Fatalf("it waits for %q, %v", got, err)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
