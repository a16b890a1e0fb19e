package fairness

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/util/flowcontrol"
)

// Seconds after which a client may try again.
const (
	// retrySoon is for a request that found no room. There may be room a moment later.
	retrySoon = 1
	// retryLater is for a request that waited for the maximum time: its workspace is overloaded.
	retryLater = 5
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
	flow := flowOf(ctx, u)
	watch := info.IsResourceRequest && info.Verb == "watch"
	if watch {
		if !f.watches.take(flow) {
			f.reject(w, r, kindWatch, "too many watches are open in this workspace", errFull)
			return
		}
		f.metrics.watches.Inc()
		defer func() {
			f.metrics.watches.Dec()
			f.watches.give(flow)
		}()
	}
	kind := kindWrite
	if isRead(info) {
		kind = kindRead
	}
	end, err := f.admit(ctx, flow, u.GetName(), kind, seatsOf(r, info))
	if err != nil {
		f.reject(w, r, kind, fmt.Sprintf("this workspace has too many %ss in flight", kind), err)
		return
	}
	defer end()
	if watch {
		// By then, the watch has received its initial events. Later events are caused by writers.
		r = r.WithContext(flowcontrol.WithInitializationSignal(ctx, begun(end)))
	}
	f.next.ServeHTTP(w, r)
}

// begun is the signal from storage that a watch has begun.
type begun func()

// Signal implements flowcontrol.InitializationSignal.
func (b begun) Signal() { b() }

// Wait implements flowcontrol.InitializationSignal. Nothing here waits.
func (b begun) Wait() {}

// reject answers a request of a kind that gets no seat because of err.
func (f *filter) reject(w http.ResponseWriter, r *http.Request, kind, message string, err error) {
	reason, retry := reasonFull, retrySoon
	switch {
	case errors.Is(err, errGone): // this answer is for the audit log
		f.fail(w, r, apierrors.NewTimeoutError("the request ended while it waited for its turn", 0))
		return
	case errors.Is(err, errTimeout):
		reason, retry = reasonTimeout, retryLater
	case !errors.Is(err, errFull):
		f.fail(w, r, apierrors.NewInternalError(err))
		return
	}
	f.metrics.rejected.WithLabelValues(kind, reason).Inc()
	f.fail(w, r, apierrors.NewTooManyRequests(message+", please try again later", retry))
}

// fail writes err, an API status, in the client's format.
func (f *filter) fail(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, f.codecs, schema.GroupVersion{Version: "v1"}, w, r)
}
