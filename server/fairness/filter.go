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
	// retrySoon is for who found no room; it may be there a moment later.
	retrySoon = 1
	// retryLater is for who has waited as long as anybody may: this workspace has more to do than it can.
	retryLater = 5
)

// errIncomplete says that the chain was put together wrongly.
var errIncomplete = errors.New("the request says neither what it asks for nor who asks")

// With returns next behind l. It belongs behind authorization.
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
		// What begins a watch has been sent to it by then; what follows is the work of those who write.
		r = r.WithContext(flowcontrol.WithInitializationSignal(ctx, begun(end)))
	}
	f.next.ServeHTTP(w, r)
}

// begun is the signal by which storage says that a watch has begun.
type begun func()

// Signal implements flowcontrol.InitializationSignal.
func (b begun) Signal() { b() }

// Wait implements flowcontrol.InitializationSignal; nobody here waits.
func (b begun) Wait() {}

// reject answers that a request of a kind gets no seat, because of err.
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

// fail answers err, an API status, in the client's format.
func (f *filter) fail(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, f.codecs, schema.GroupVersion{Version: "v1"}, w, r)
}
