package tokens

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// maxAge is how far behind etcd the watch caches may be that accept a token. It is how long a revoked token can still be accepted.
const maxAge = time.Second

// Fresh waits until watch caches contain every write that was acknowledged before the call. A fresh.Gate implements it.
type Fresh interface {
	Wait(ctx context.Context) (revision uint64, err error)
}

// Followed returns what tokens depend on. Each item needs a Fresh of its own, because Secrets may be in another etcd.
func Followed() [][]schema.GroupResource {
	return [][]schema.GroupResource{
		{corev1.Resource("serviceaccounts"), corev1alpha1.Resource("logicalclusters")},
		{corev1.Resource("secrets")},
	}
}

// recent knows when the watch caches were last known to be as new as etcd. It is safe for many goroutines.
type recent struct {
	fresh []Fresh
	clock clock.PassiveClock

	mu        sync.Mutex
	confirmed time.Time
}

// lookTwice calls look when the watch caches are at most maxAge behind, and again, unless that was enough, when they have caught up. So a no
// misses nothing that was acknowledged before the call. It returns the first error.
func (r *recent) lookTwice(ctx context.Context, look func() (enough bool, err error)) error {
	if r.age() >= maxAge {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
	}
	if enough, err := look(); enough || err != nil {
		return err
	}
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	_, err := look()
	return err
}

func (r *recent) age() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock.Since(r.confirmed)
}

// catchUp waits until the watch caches are as new as the call.
func (r *recent) catchUp(ctx context.Context) error {
	began := r.clock.Now()
	for _, fresh := range r.fresh {
		if _, err := fresh.Wait(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if began.After(r.confirmed) {
		r.confirmed = began
	}
	return nil
}

// unavailableError is the answer while nobody can say whether a token is valid.
type unavailableError struct {
	*apierrors.StatusError
	cause error
}

// Error shows the cause, which is for the log.
func (e *unavailableError) Error() string { return e.cause.Error() }

// Unwrap returns the status for the client.
func (e *unavailableError) Unwrap() error { return e.StatusError }

func unavailable(cause error) error {
	return &unavailableError{StatusError: apierrors.NewServiceUnavailable("the token cannot be checked right now, try again"), cause: cause}
}
