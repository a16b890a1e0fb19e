package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
)

// A client that is asked to leave connects anew with its next request, and hears the end of what it had begun.
func TestLeave_EndsConnectionsAndNothingOnThem(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			stopping, finish := make(chan struct{}), make(chan struct{})
			server := httptest.NewUnstartedServer(withLeave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/watch" {
					w.WriteHeader(http.StatusOK)
					w.(http.Flusher).Flush()
					<-finish
				}
				_, _ = io.WriteString(w, "done")
			}), stopping))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			open := func(path string) (body io.ReadCloser, reused bool) {
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := server.Client().Do(request)
				if err != nil {
					t.Fatal(err)
				}
				return response.Body, reused
			}
			read := func(body io.ReadCloser) {
				t.Helper()
				defer func() { _ = body.Close() }()
				if all, err := io.ReadAll(body); err != nil || string(all) != "done" {
					t.Errorf("read %q: %v", all, err)
				}
			}
			ask := func() (reused bool) {
				t.Helper()
				body, reused := open("/")
				read(body)
				return reused
			}

			ask()
			if !ask() {
				t.Error("a connection ends before the stop signal")
			}
			watch, _ := open("/watch")
			close(stopping)
			left := false
			for range 100 { // the answer to a first one asks to leave, and a second may cross the GOAWAY
				left = left || !ask()
			}
			if !left {
				t.Error("a connection is kept after the stop signal")
			}
			close(finish)
			read(watch)
		})
	}
}
