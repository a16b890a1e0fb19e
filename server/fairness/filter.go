package fairness

import (
	"context"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
	"k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/annex-dev/annex/registry/nice"
	"github.com/annex-dev/annex/registry/room"
)

// errIncomplete means that the chain was assembled incorrectly.
var errIncomplete = errors.New("the request has no RequestInfo or no user")

// With returns next with the limits of l. Put it after authorization.
func With(next http.Handler, l *Limiter, codecs runtime.NegotiatedSerializer) http.Handler {
	return &filter{Limiter: l, next: next, codecs: codecs}
}

type filter struct {
	*Limiter
	next   http.Handler
	codecs runtime.NegotiatedSerializer
}

// ServeHTTP implements http.Handler.
func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	info, informed := genericapirequest.RequestInfoFrom(ctx)
	u, authenticated := genericapirequest.UserFrom(ctx)
	if !informed || !authenticated {
		f.fail(w, r, apierrors.NewInternalError(errIncomplete))
		return
	}
	if isServer(u) {
		f.next.ServeHTTP(w, r)
		return
	}
	s := shareFor(ctx, u, info, f.pathOf)
	if s == own(operatorShare) && isProfile(info) {
		f.next.ServeHTTP(w, r)
		return
	}
	watch := info.IsResourceRequest && info.Verb == "watch" || forwardsStream(ctx, info)
	if watch {
		if !f.watches.take(s) {
			f.fail(w, r, f.refusal(kindWatch, errFull))
			return
		}
		f.metrics.watches.Inc()
		defer func() {
			f.metrics.watches.Dec()
			f.watches.give(s)
		}()
	}
	kind := kindWrite
	if isRead(info) {
		kind = kindRead
	}
	t, err := f.admit(ctx, s, u.GetName(), kind, seatsOf(r, info))
	if err != nil {
		f.fail(w, r, f.refusal(kind, err))
		return
	}
	defer t.end()
	ctx = context.WithValue(ctx, turnKey{}, t)
	if watch {
		// By the signal, storage has made the initial events. Later events are caused by writers.
		ctx = flowcontrol.WithInitializationSignal(ctx, begun(t.end))
		defer time.AfterFunc(longestBegin, t.end).Stop()
	}
	r = r.WithContext(room.With(ctx, t.held))
	if r.Body != nil {
		r.Body = &body{ReadCloser: r.Body, turn: t}
	}
	w = responsewriter.WrapForHTTP1Or2(&response{ResponseWriter: w, turn: t})
	switch {
	case watch && f.line.demanding(s):
		// Only the parts that take long: the watch may last for hours, and its tenant may have little work soon.
		nice.Wait(r.Context())
		f.next.ServeHTTP(w, r.WithContext(nice.With(r.Context())))
	case watch:
		f.next.ServeHTTP(w, r)
	case f.line.demanding(s) || isLarge(r) && f.line.shared():
		nice.Wait(r.Context())
		r = r.WithContext(nice.With(r.Context()))
		nice.Do(func() { f.next.ServeHTTP(w, r) })
	default:
		nice.Serve(func() { f.next.ServeHTTP(w, r) })
	}
}

// largeBody is how long, in bytes, the body of a request is that takes long to work on: each step copies it.
const largeBody = 64 << 10

// isLarge reports whether r has a large body, or one of which nobody knows how large it is.
func isLarge(r *http.Request) bool { return r.ContentLength < 0 || r.ContentLength >= largeBody }

// begun is the signal from storage that a watch has begun.
type begun func()

// Signal implements flowcontrol.InitializationSignal.
func (b begun) Signal() { b() }

// Wait implements flowcontrol.InitializationSignal. Nothing here waits.
func (b begun) Wait() {}

// fail writes err, an API status, in the client's format.
func (f *filter) fail(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, f.codecs, schema.GroupVersion{Version: "v1"}, w, r)
}
