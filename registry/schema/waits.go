package schema

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// A request that waits for the webhook of a provider keeps the seats of its consumer's workspace, so a provider whose webhook does not answer
// would keep its consumers from everything else that they do. The stock converter knows no context by which a request could give its seats to
// others meanwhile. So only few requests in the whole process wait long for the webhooks of one provider:
//
//	for shortWait          all may wait
//	longer, mostLong       may wait at a time, until the webhook's own timeout; the others fail
//	afterwards             nobody waits for twice shortWait, and then one after the other for shortWait, until the webhook has answered
const mostLong = 2

// defaultShortWait is Config.ShortWait unless that says otherwise.
const defaultShortWait = 2 * time.Second

// waitsBytes bounds what is kept of providers, of which a state is so large.
const (
	waitsBytes = 1 << 20
	waitBytes  = 128
)

// errUnanswered is the error of a request that does not wait, or not any more.
var errUnanswered = errors.New("too many requests wait for an answer")

// waits are those for the webhooks of one provider. It is safe for concurrent use.
type waits struct {
	short time.Duration

	mu     sync.Mutex
	long   int       // how many wait longer than short
	silent bool      // whether the last answer did not come
	until  time.Time // when the next one is asked for, if it is silent
	asking bool      // whether it is being asked for
}

// waitsOf returns the waits for the webhooks of a provider.
func (h *Handlers) waitsOf(provider logicalcluster.Name) *waits {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.waits.Get(provider)
	if !ok {
		w = &waits{short: h.config.ShortWait}
		h.waits.Put(provider, w, waitBytes, provider.String())
	}
	return w
}

// waiting is one of them.
type waiting struct {
	of     *waits
	cancel context.CancelFunc
	timer  *time.Timer
	probe  bool // whether it is the only one, after silence

	// Guarded by of.mu.
	ended, long, cut bool
}

// begin returns a wait, and the context of the call that is waited for. End it.
func (w *waits) begin(ctx context.Context) (*waiting, context.Context, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent && (w.asking || time.Now().Before(w.until)) {
		return nil, nil, errUnanswered
	}
	one := &waiting{of: w, probe: w.silent}
	w.asking = one.probe
	ctx, one.cancel = context.WithCancel(ctx)
	one.timer = time.AfterFunc(w.short, one.lasts)
	return one, ctx, nil
}

// lasts is called when the wait is no longer short.
func (one *waiting) lasts() {
	w := one.of
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case one.ended:
	case one.probe || w.long >= mostLong:
		one.cut = true
		one.cancel()
	default:
		one.long = true
		w.long++
	}
}

// end ends the wait. An error that comes soon is an answer.
func (one *waiting) end(answered bool) {
	w := one.of
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.ended {
		return
	}
	one.ended = true
	one.timer.Stop()
	one.cancel()
	if one.long {
		w.long--
	}
	if one.probe {
		w.asking = false
	}
	switch {
	case !answered && (one.long || one.probe && one.cut):
		w.silent, w.until = true, time.Now().Add(2*w.short)
	case !one.cut:
		w.silent = false
	}
}

// rest returns how long nobody is asked; 0 if somebody may be.
func (w *waits) rest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.silent {
		return 0
	}
	return max(time.Until(w.until), 0)
}

// awaited is the body of an answer, which is a part of the wait.
type awaited struct {
	io.ReadCloser
	wait   *waiting
	failed bool
}

// Read implements io.Reader.
func (a *awaited) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.failed = a.failed || err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer.
func (a *awaited) Close() error {
	a.wait.end(!a.failed)
	return a.ReadCloser.Close()
}

// roundTrip makes a call of to, and waits for the answer and its body.
func (w *waits) roundTrip(to http.RoundTripper, request *http.Request) (*http.Response, error) {
	one, ctx, err := w.begin(request.Context())
	if err != nil {
		return nil, err
	}
	answer, err := to.RoundTrip(request.WithContext(ctx))
	if err != nil {
		one.end(false)
		return nil, err
	}
	answer.Body = &awaited{ReadCloser: answer.Body, wait: one}
	return answer, nil
}

// unanswered returns the answer to a request that needs a conversion by a webhook that is not asked now; nil if it may be asked.
func (w *waits) unanswered(gr schema.GroupResource) error {
	rest := w.rest()
	if rest == 0 {
		return nil
	}
	err := apierrors.NewServiceUnavailable("the webhook of the provider of " + gr.String() + " does not answer, please try again")
	err.ErrStatus.Details = &metav1.StatusDetails{Group: gr.Group, Kind: gr.Resource, RetryAfterSeconds: int32((rest + time.Second - 1) / time.Second)}
	return err
}

// unanswered returns what answers requests for a resource in its other versions than the stored one, while its webhook is not asked. Requests in
// the stored version go on: most objects are stored in it.
func unanswered(resource *catalog.Resource, hooks Webhooks) func(version string) error {
	bound, ok := hooks.(discreet)
	if !ok {
		return func(string) error { return nil }
	}
	stored := ""
	for _, v := range resource.CRD.Spec.Versions {
		if v.Storage {
			stored = v.Name
		}
	}
	return func(version string) error {
		if version == stored {
			return nil
		}
		return bound.waits.unanswered(resource.GroupResource())
	}
}
