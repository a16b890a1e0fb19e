package fairness

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Seconds after which a client may try again.
const (
	// retrySoon is for a request that found no room. There may be room a moment later.
	retrySoon = 1
	// retryLater is for a request that waited for the maximum time: its workspace is overloaded.
	retryLater = 5
)

// busy returns the API status for a request of a kind that would wait for another workspace for which too many wait already.
func (l *Limiter) busy(kind string) error {
	l.metrics.rejected.WithLabelValues(kind, reasonFull).Inc()
	return apierrors.NewTooManyRequests("too many requests wait for the provider of the resource, please try again later", retrySoon)
}

// refusal returns the API status for a request of a kind that gets no seat because of err.
func (l *Limiter) refusal(kind string, err error) error {
	reason, retry := reasonFull, retrySoon
	switch {
	case errors.Is(err, errGone): // this answer is for the audit log
		return apierrors.NewTimeoutError("the request ended while it waited for its turn", 0)
	case errors.Is(err, errTimeout):
		reason, retry = reasonTimeout, retryLater
	case !errors.Is(err, errFull):
		return apierrors.NewInternalError(err)
	}
	l.metrics.rejected.WithLabelValues(kind, reason).Inc()
	message := fmt.Sprintf("this workspace has too many %ss in flight", kind)
	if kind == kindWatch {
		message = "too many watches are open in this workspace"
	}
	return apierrors.NewTooManyRequests(message+", please try again later", retry)
}
