package annex

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Late is a request whose body is withheld: the server has decided whether the request may go on, and waits.
type Late struct {
	begun, send, done chan struct{}
	// what was answered, once done is closed
	status metav1.Status
	code   int
	err    error
}

// Withhold sends a request without its body, to a path below config.Host, and waits until the server asks for the body or has
// answered. The request ends with ctx at the latest.
func Withhold(ctx context.Context, config *rest.Config, method, path, contentType, body string) (*Late, error) {
	security, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the TLS files of a client: %w", err)
	}
	// HTTP/1.1, in which a server asks for the body of a request that expects it.
	transport := &http.Transport{TLSClientConfig: security, ExpectContinueTimeout: time.Hour, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	authorized, err := rest.HTTPWrappersForConfig(config, transport)
	if err != nil {
		return nil, fmt.Errorf("preparing the credentials of a client: %w", err)
	}
	l := &Late{begun: make(chan struct{}), send: make(chan struct{}), done: make(chan struct{})}
	request, err := http.NewRequestWithContext(ctx, method, config.Host+path, &heldBody{Reader: strings.NewReader(body), late: l, ctx: ctx})
	if err != nil {
		return nil, err
	}
	request.ContentLength = int64(len(body))
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Expect", "100-continue")
	go func() {
		defer close(l.done)
		defer transport.CloseIdleConnections()
		response, err := authorized.RoundTrip(request)
		if err != nil {
			l.err = err
			return
		}
		defer func() { _ = response.Body.Close() }()
		l.code = response.StatusCode
		data, err := io.ReadAll(response.Body)
		if err == nil {
			_ = json.Unmarshal(data, &l.status) // an object has other fields
		}
		l.err = err
	}()
	select {
	case <-l.begun:
	case <-l.done:
	}
	return l, nil
}

// Waits reports whether the server waits for the body; if not, it has answered.
func (l *Late) Waits() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// Send sends the body and returns the answer. Call it once.
func (l *Late) Send() (code int, status metav1.Status, err error) {
	close(l.send)
	<-l.done
	return l.code, l.status, l.err
}

// heldBody is a body that is read only after send is closed. begun is closed when it is to be read.
type heldBody struct {
	io.Reader
	late *Late
	ctx  context.Context
	open bool
}

// Read implements io.Reader.
func (b *heldBody) Read(data []byte) (int, error) {
	if !b.open {
		b.open = true
		close(b.late.begun)
		select {
		case <-b.late.send:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	return b.Reader.Read(data)
}

// CheckData fails the test if something is stored that belongs to nothing. servers are the URLs of the server's etcd; none for the
// embedded one.
func (s *Server) CheckData(tb testing.TB, servers ...string) {
	tb.Helper()
	if len(servers) == 0 {
		sockets, err := filepath.Glob(filepath.Join(s.Dir(), "etcd-server", "member", "*.sock"))
		if err != nil || len(sockets) != 1 {
			tb.Fatalf("the socket of the embedded etcd is not beside its data: %v, %v", sockets, err)
		}
		servers = []string{"unix://" + sockets[0]}
	}
	if out, errs, code := Run(tb, "check", "data", "--etcd-servers", strings.Join(servers, ",")); code != 0 {
		tb.Errorf("annex check data ends with %d:\n%s%s", code, out, errs)
	}
}
