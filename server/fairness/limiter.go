package fairness

import (
	"context"
	"sync"
	"time"
)

// longestTurn is how long a request may hold its seats. A longer request does not wait for processors but for
// etcd or a slow client, and other requests of its workspace must not wait for that. It still counts as in flight.
const longestTurn = 3 * time.Second

// Config limits how much is served at once. In each field, 0 means no limit.
type Config struct {
	// Reads and Writes are the requests in flight of all clusters together. A cluster may have as many as remain free.
	Reads, Writes int
	// Seats are the seats of a cluster while other clusters are active. If no other cluster is active, it has aloneFactor times as
	// many. A request takes one seat, or several if it works on many objects.
	Seats int
	// Waiting limits the requests that wait for seats. It is shared like Reads.
	Waiting int
	// Wait is how long each of them may wait.
	Wait time.Duration
	// Watches limits the open watches. It is shared like Reads.
	Watches int
}

// Limiter decides when requests may proceed. Safe for many goroutines.
type Limiter struct {
	pool                   *pool
	reads, writes, watches *budget
	longestTurn            time.Duration
	metrics                *Metrics
}

// New returns a limiter that counts in m.
func New(c Config, m *Metrics) *Limiter {
	return &Limiter{
		pool: &pool{
			seats:   c.Seats,
			wait:    c.Wait,
			waiting: newBudget(c.Waiting),
			inUse:   gauge{m.seats.Add},
			active:  m.flows,
			flows:   map[string]*flow{},
		},
		reads:       newBudget(c.Reads),
		writes:      newBudget(c.Writes),
		watches:     newBudget(c.Watches),
		longestTurn: longestTurn,
		metrics:     m,
	}
}

// admit waits for the turn of a request and returns the function that ends it; it may be called more than once.
func (l *Limiter) admit(ctx context.Context, flow, user, kind string, seats int) (end func(), err error) {
	inFlight := l.writes
	if kind == kindRead {
		inFlight = l.reads
	}
	if l.pool.seats > 0 {
		seats = min(seats, l.pool.seats)
	}
	waiting := l.metrics.waiting.WithLabelValues(kind)
	waiting.Inc()
	start := time.Now()
	release, err := l.pool.acquire(ctx, flow, user, seats)
	waiting.Dec()
	if err != nil {
		return nil, err
	}
	l.metrics.wait.WithLabelValues(kind).Observe(time.Since(start).Seconds())
	if !inFlight.take(flow) {
		release()
		return nil, errFull
	}
	executing := l.metrics.executing.WithLabelValues(kind)
	executing.Inc()
	tooLong := time.AfterFunc(l.longestTurn, release)
	return sync.OnceFunc(func() {
		tooLong.Stop()
		release()
		executing.Dec()
		inFlight.give(flow)
	}), nil
}
