package fairness

import (
	"context"
	"sync"
	"time"
)

// line is where requests wait for seats: first for those of their workspace, then for those of their tenant. In a workspace users take
// turns, and in a tenant its workspaces. So many workspaces of one tenant get no more than one, and no more of them wait for the seats
// of the tenant at once than each has seats. Safe for many goroutines.
type line struct {
	workspaces, tenants *pool
	// wait is how long a request may wait in all.
	wait    time.Duration
	waiting *budget

	mu   sync.Mutex
	work backlog // of the server, by tenant
}

// acquire waits until it is the turn of user, and returns the function that releases the seats; it may be called more than once. It
// fails with errFull, errTimeout or errGone.
func (l *line) acquire(ctx context.Context, s share, user string, seats int) (release func(), err error) {
	if !l.waiting.take(s) {
		return nil, errFull
	}
	defer l.waiting.give(s)
	bounded, cancel := context.WithTimeout(ctx, l.wait)
	defer cancel()
	release, err = l.workspaces.acquire(bounded, s.workspace, user, seats)
	if err == nil && s.tenant != s.workspace {
		ofWorkspace := release
		var ofTenant func()
		if ofTenant, err = l.tenants.acquire(bounded, s.tenant, s.workspace, seats); err != nil {
			ofWorkspace()
		}
		release = sync.OnceFunc(func() {
			ofTenant()
			ofWorkspace()
		})
	}
	switch {
	case err == nil:
		return release, nil
	case ctx.Err() != nil:
		return nil, errGone
	}
	return nil, err
}

// noteWork records that work of the server for s went on from one time to another.
func (l *line) noteWork(s share, from, to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work.note(s.tenant, from, to)
}

// hasMuchWork reports whether the server has had much work for the tenant of s, and s is not the only one with requests.
func (l *line) hasMuchWork(s share) bool {
	l.mu.Lock()
	much := l.work.much(s.tenant, time.Now())
	l.mu.Unlock()
	return much && l.shared()
}

// demanding reports whether s has much work, and others have some, too: then that of s gives way at the processors (registry/nice).
func (l *line) demanding(s share) bool {
	now := time.Now()
	return l.workspaces.demanding(s.workspace, now) || s.tenant != s.workspace && l.tenants.demanding(s.tenant, now)
}

// shared reports whether s is not the only one with work.
func (l *line) shared() bool { return l.workspaces.rivalry.rivals(time.Now()) }
