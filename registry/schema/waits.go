package schema

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lru"
)

// A request that waits for the webhook of a provider keeps the seats of its consumer's workspace, so a provider whose webhook does not answer
// would keep its consumers from everything else that they do. The stock converter knows no context by which a request could give its seats to
// others meanwhile. So:
//
//	all           wait for shortWait
//	mostLong      of the whole process wait longer at a time, until the webhook's own timeout, but none if the last of them got no answer
//	a consumer    whose request has failed after a wait asks for no conversion for twice shortWait
//
// No consumer is refused because of another one: a webhook may not answer only for objects of one of them.
const mostLong = 2

// defaultShortWait is Config.ShortWait unless that says otherwise.
const defaultShortWait = 2 * time.Second

// waitsBytes bounds what is kept of providers, and of their consumers, of which each state is so large.
const (
	waitsBytes = 1 << 20
	waitBytes  = 128
)

// waits are those for the webhooks of one provider. It is safe for concurrent use.
type waits struct {
	short time.Duration

	mu     sync.Mutex
	long   int  // how many wait longer than short
	silent bool // whether one of them got no answer, and nobody has since
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

	// Guarded by of.mu.
	ended, long, cut bool
}

// begin returns a wait, and the context of the call that is waited for. End it.
func (w *waits) begin(ctx context.Context) (*waiting, context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &waiting{of: w}
	ctx, one.cancel = context.WithCancel(ctx)
	one.timer = time.AfterFunc(w.short, one.lasts)
	return one, ctx
}

// lasts is called when the wait is no longer short.
func (one *waiting) lasts() {
	w := one.of
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case one.ended:
	case w.silent || w.long >= mostLong:
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
	if !one.cut {
		w.silent = !answered && one.long
	}
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
	one, ctx := w.begin(request.Context())
	answer, err := to.RoundTrip(request.WithContext(ctx))
	if err != nil {
		one.end(false)
		return nil, err
	}
	answer.Body = &awaited{ReadCloser: answer.Body, wait: one}
	return answer, nil
}

// consumer is a consumer of a provider.
type consumer struct{ provider, cluster logicalcluster.Name }

// resting makes a consumer whose request fails after it has waited for the webhook of a provider rest, before it asks for a conversion again.
type resting struct {
	resource schema.GroupResource
	provider logicalcluster.Name
	stored   string // version
	short    time.Duration
	until    *lru.Cache[consumer, time.Time]
}

// restingOf returns what makes consumers of a resource rest; nil if no webhook of a provider converts it.
func (h *Handlers) restingOf(resource *catalog.Resource) *resting {
	if _, bound := h.hooksFor(resource); !bound {
		return nil
	}
	r := &resting{resource: resource.GroupResource(), provider: resource.Provider, short: h.config.ShortWait, until: h.resting}
	for _, v := range resource.CRD.Spec.Versions {
		if v.Storage {
			r.stored = v.Name
		}
	}
	return r
}

// serve calls do, or answers a request for which the consumer has to rest: one in another version than the stored one, in which most objects
// are. A nil r lets everything pass.
func (r *resting) serve(w http.ResponseWriter, req *http.Request, do func(http.ResponseWriter)) {
	info, ok := genericapirequest.RequestInfoFrom(req.Context())
	cluster, single := logicalcluster.FromContext(req.Context())
	if r == nil || !ok || !single || info.APIVersion == r.stored {
		do(w)
		return
	}
	key := consumer{r.provider, cluster}
	if until, ok := r.until.Get(key); ok {
		if rest := time.Until(until); rest > 0 {
			err := apierrors.NewServiceUnavailable("the webhook of the provider of " + r.resource.String() + " does not answer, please try again")
			err.ErrStatus.Details = &metav1.StatusDetails{Group: r.resource.Group, Kind: r.resource.Resource, RetryAfterSeconds: int32((rest + time.Second - 1) / time.Second)}
			responsewriters.ErrorNegotiated(err, apiserver.Codecs, schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}, w, req)
			return
		}
		r.until.Remove(key)
	}
	if info.Verb == "watch" { // an error is one of its events
		do(w)
		return
	}
	began, answer := time.Now(), &coded{ResponseWriter: w}
	do(responsewriter.WrapForHTTP1Or2(answer))
	if answer.code >= http.StatusInternalServerError && time.Since(began) >= r.short {
		r.until.Put(key, time.Now().Add(2*r.short), waitBytes, cluster.String())
	}
}

// coded notes the code of an answer.
type coded struct {
	http.ResponseWriter
	code int
}

var _ responsewriter.UserProvidedDecorator = &coded{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (c *coded) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c *coded) WriteHeader(code int) {
	c.code = code
	c.ResponseWriter.WriteHeader(code)
}
