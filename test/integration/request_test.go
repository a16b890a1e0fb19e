package integration

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 8 << 20

// request is an HTTP request as it stands on the wire.
type request struct {
	method string
	// path is escaped and may hold a query; it is sent as it is.
	path    string
	headers http.Header
	body    string
	// patience bounds how long the answer is read; zero means until its end.
	patience time.Duration
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// status returns the API status in the answer; empty when it holds none.
func (a answer) status() metav1.Status {
	var s metav1.Status
	if json.Unmarshal(a.body, &s) != nil || s.Kind != "Status" {
		return metav1.Status{}
	}
	return s
}

// wire sends requests of one user.
type wire struct {
	tb     testing.TB
	base   string
	client *http.Client
}

// newWire returns a sender with the credentials of config, to the server without a path.
func newWire(tb testing.TB, s *annex.Server, config *rest.Config) *wire {
	tb.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		tb.Fatal(err)
	}
	return &wire{tb: tb, base: s.URL(), client: &http.Client{
		Transport:     client.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// as returns a sender for a user of the static token file; anonymous for the empty name.
func as(tb testing.TB, s *annex.Server, user string) *wire {
	tb.Helper()
	if user == "" {
		return newWire(tb, s, s.As("", "root"))
	}
	return newWire(tb, s, s.As(token(user), "root"))
}

// asAdmin returns a sender with the administrator's credentials.
func asAdmin(tb testing.TB, s *annex.Server) *wire {
	tb.Helper()
	return newWire(tb, s, s.Config(annex.ContextBase))
}

// asMaster returns a sender that is system:masters.
func asMaster(tb testing.TB, s *annex.Server) *wire {
	tb.Helper()
	return newWire(tb, s, s.Config(annex.ContextShardBase))
}

// do sends r. ok is false when the path cannot be sent at all.
func (w *wire) do(ctx context.Context, r request) (a answer, ok bool, err error) {
	target, err := url.Parse(w.base)
	if err != nil {
		return answer{}, false, err
	}
	if strings.ContainsFunc(r.path, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return answer{}, false, nil // HTTP/2 ends the stream
	}
	escaped, query, _ := strings.Cut(r.path, "?")
	if target.Path, err = url.PathUnescape(escaped); err != nil || !strings.HasPrefix(escaped, "/") {
		return answer{}, false, nil
	}
	target.RawPath, target.RawQuery = escaped, query
	if target.EscapedPath() != escaped {
		return answer{}, false, nil // the client would write it in another way
	}
	if r.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.patience)
		defer cancel()
	}
	httpRequest, err := http.NewRequestWithContext(ctx, r.method, w.base, strings.NewReader(r.body))
	if err != nil {
		return answer{}, false, nil
	}
	httpRequest.URL = target
	for name, values := range r.headers {
		httpRequest.Header[name] = values
	}
	if r.body != "" && httpRequest.Header.Get("Content-Type") == "" {
		httpRequest.Header.Set("Content-Type", "application/json")
	}
	response, err := w.client.Do(httpRequest)
	if err != nil {
		if r.patience > 0 && ctx.Err() != nil {
			return answer{}, true, nil // a watch that says nothing
		}
		return answer{}, true, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil && r.patience == 0 {
		return answer{}, true, err
	}
	return answer{code: response.StatusCode, header: response.Header, body: body}, true, nil
}

// send is do for requests that must work.
func (w *wire) send(r request) answer {
	w.tb.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	a, ok, err := w.do(w.tb.Context(), r)
	if err != nil || !ok {
		w.tb.Fatalf("%s %s: sent %v, %v", r.method, r.path, ok, err)
	}
	return a
}

// in returns the same sender for tb, a subtest.
func (w *wire) in(tb testing.TB) *wire {
	other := *w
	other.tb = tb
	return &other
}

// get sends a GET.
func (w *wire) get(path string) answer {
	w.tb.Helper()
	return w.send(request{path: path})
}
