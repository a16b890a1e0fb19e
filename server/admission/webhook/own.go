package webhook

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Controllers of the server write for all workspaces in turn, so a slow webhook would hold up all workspaces. Each of their writes
// waits for webhooks for at most ownTimeout, and all of them together for at most every ownPart-th second, after a start of ownBurst. Those in
// one workspace have half of that, so that its webhooks leave time for those of others.
const (
	ownTimeout = time.Second
	ownPart    = 4
	ownBurst   = 4 * time.Second
	ownShare   = 2
)

// own bounds how long the server itself waits for webhooks. A write for which no time is left fails, and its controller tries again later.
type own struct {
	clock clock.PassiveClock

	mu  sync.Mutex
	all allowance
	// of are the workspaces that have used up some of their part, which they get back within seconds.
	of map[logicalcluster.Name]*allowance
}

func newOwn(c clock.PassiveClock) *own {
	return &own{clock: c, all: allowance{burst: ownBurst, part: ownPart, left: ownBurst, at: c.Now()}, of: map[logicalcluster.Name]*allowance{}}
}

// call calls f for a write in cluster if there is time for it.
func (o *own) call(ctx context.Context, cluster logicalcluster.Name, f func(context.Context) error) error {
	began := o.clock.Now()
	if !o.take(cluster, began) {
		return apierrors.NewServiceUnavailable("the server waits for too many slow webhooks")
	}
	ctx, cancel := context.WithTimeout(ctx, ownTimeout)
	defer cancel()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		// A webhook that converts the object has time of its own. That counts once more at most.
		unused := max(ownTimeout-o.clock.Since(began), -ownTimeout)
		o.all.left += unused
		if part := o.of[cluster]; part != nil {
			part.left += unused
		}
	}()
	return f(ctx)
}

// take takes the longest time that a write may wait. What it did not need comes back later.
func (o *own) take(cluster logicalcluster.Name, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	// All of them together can have used up no more than there is, so there are few.
	for name, part := range o.of {
		if part.grow(now); part.left >= part.burst && name != cluster {
			delete(o.of, name)
		}
	}
	part := o.of[cluster]
	if part == nil {
		part = &allowance{burst: ownBurst / ownShare, part: ownPart * ownShare, left: ownBurst / ownShare, at: now}
	}
	o.all.grow(now)
	if o.all.left < ownTimeout || part.left < ownTimeout {
		return false
	}
	o.all.left -= ownTimeout
	part.left -= ownTimeout
	o.of[cluster] = part
	return true
}

// allowance is time that may be spent. It grows by every part-th second up to burst.
type allowance struct {
	burst time.Duration
	part  time.Duration
	left  time.Duration
	at    time.Time
}

func (a *allowance) grow(now time.Time) {
	a.left = min(a.burst, a.left+now.Sub(a.at)/a.part)
	a.at = now
}
