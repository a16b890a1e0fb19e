package fairness

import (
	"context"
	"sync"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// turn is a request that proceeds. It holds its seats while it works. While it waits for its client, others may have them: after
// patience, in all, it gives them back, and continues only after it has got seats again. Safe for many goroutines.
type turn struct {
	acquire func() (release func(), err error)
	finish  func()
	// borrow takes a place of the requests in flight from the share of another cluster, and returns what gives it back.
	borrow   func(cluster logicalcluster.Name) (back func(), err error)
	held     *held
	patience time.Duration

	mu sync.Mutex
	// release gives the seats back; nil while the request has none.
	release func()
	// waits is how many goroutines wait, since when the first of them does, and waited how long they did before.
	waits  int
	since  time.Time
	waited time.Duration
	// giveUp ends the patience; nil if nobody waits.
	giveUp *time.Timer
	ended  bool
}

// end ends the turn; it may be called more than once.
func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	if t.giveUp != nil {
		t.giveUp.Stop()
	}
	t.give()
	t.held.end()
	t.finish()
}

// give gives the seats back; the lock is held.
func (t *turn) give() {
	if t.release != nil {
		t.release()
		t.release = nil
	}
}

// wait says that a goroutine begins to wait for something other than processors. Call resume or pause when it does no longer.
func (t *turn) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return // a watch goes on
	}
	if t.waits++; t.waits > 1 {
		return
	}
	t.since = time.Now()
	left := t.patience - t.waited
	if left <= 0 {
		t.give()
		return
	}
	t.giveUp = time.AfterFunc(left, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.waits > 0 && t.waited+time.Since(t.since) >= t.patience {
			t.give()
		}
	})
}

// lend gives the seats to others at once while the request waits.
func (t *turn) lend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waits > 0 {
		t.give()
	}
}

// pause is the end of wait for a goroutine that waits again before it works.
func (t *turn) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	if t.waits--; t.waits > 0 {
		return
	}
	t.waited += time.Since(t.since)
	if t.giveUp != nil {
		t.giveUp.Stop()
		t.giveUp = nil
	}
}

// resume is the end of wait for a goroutine that is about to work. If the seats were given back, it waits for new ones. If there are
// none, the request must not continue.
func (t *turn) resume() error {
	t.pause()
	t.mu.Lock()
	has := t.release != nil || t.ended
	t.mu.Unlock()
	if has {
		return nil
	}
	release, err := t.acquire()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.release != nil || t.ended {
		release() // another goroutine was faster
		return nil
	}
	t.release = release
	return nil
}

type turnKey struct{}

// Waiting calls wait, which waits for something other than processors, such as for controllers. The seats of the request of ctx, if it
// has any, may be given to others meanwhile. An error says that the request must not continue: that of wait, or an API status.
func Waiting(ctx context.Context, wait func() error) error {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return wait()
	}
	t.wait()
	if err := wait(); err != nil {
		t.pause()
		return err
	}
	return t.resume()
}

// OnAccount calls wait, which waits for something of the workspace in cluster, such as a webhook, that the workspace of the request of ctx has no
// say in. It is the other workspace that must not have too many requests waiting: each takes a place of the requests in flight from its share. The
// seats of the request are given to others meanwhile. An error says that the request must not continue: that of wait, or an API status.
func OnAccount(ctx context.Context, cluster logicalcluster.Name, wait func() error) error {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return wait()
	}
	back, err := t.borrow(cluster)
	if err != nil {
		return err
	}
	defer back()
	t.wait()
	t.lend()
	if err := wait(); err != nil {
		t.pause()
		return err
	}
	return t.resume()
}
