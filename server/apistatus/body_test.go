package apistatus

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestWithBody(t *testing.T) {
	for name, tc := range map[string]struct {
		sent      string
		malformed bool
	}{
		"no body":               {"Content-Length: 0\r\n\r\n", false},
		"a body":                {"Content-Length: 2\r\n\r\nab", false},
		"chunks":                {"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", false},
		"chunks without length": {"Transfer-Encoding: chunked\r\n\r\nab\r\n", true},
		"half a body":           {"Content-Length: 4\r\n\r\nab", true},
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan error, 1)
			server := httptest.NewServer(WithBody(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				read <- err
			})))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+tc.sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := <-read; (err != nil) != tc.malformed || tc.malformed && !apierrors.IsBadRequest(err) {
				t.Errorf("reading ends with %v, want malformed %t", err, tc.malformed)
			}
		})
	}
}
