package webhook

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

// Controllers of the server write for all workspaces in turn, so a slow webhook would hold up all workspaces. Each of their writes
// waits for webhooks for at most ownTimeout, and all of them together for at most every ownPart-th second, after a start of ownBurst.
const (
	ownTimeout = time.Second
	ownPart    = 4
	ownBurst   = 4 * time.Second
)

// own bounds how long the server itself waits for webhooks. A write for which no time is left fails, and its controller tries again later.
type own struct {
	clock clock.PassiveClock

	mu   sync.Mutex
	left time.Duration
	at   time.Time
}

func newOwn(c clock.PassiveClock) *own { return &own{clock: c, left: ownBurst, at: c.Now()} }

// call calls f if there is time for it.
func (o *own) call(ctx context.Context, f func(context.Context) error) error {
	began := o.clock.Now()
	if !o.take(began) {
		return apierrors.NewServiceUnavailable("the server waits for too many slow webhooks")
	}
	ctx, cancel := context.WithTimeout(ctx, ownTimeout)
	defer cancel()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.left += ownTimeout - o.clock.Since(began)
	}()
	return f(ctx)
}

// take takes the longest time that a write may wait. What it did not need comes back later.
func (o *own) take(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = min(ownBurst, o.left+now.Sub(o.at)/ownPart)
	o.at = now
	if o.left < ownTimeout {
		return false
	}
	o.left -= ownTimeout
	return true
}
