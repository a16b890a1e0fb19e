package fairness

import (
	"context"
	"sync"
	"time"
)

// longestTurn is how long a request may hold its seats. One that takes longer waits for something else than processors - etcd,
// or a client that reads slowly - and others of its workspace must not wait for that, too. It still counts as in flight.
const longestTurn = 3 * time.Second

// Config says how much is served at once. 0 is for no bound, in each of them.
type Config struct {
	// Reads and Writes are in flight at once, of all clusters together. A cluster may have as many as there is room for more.
	Reads, Writes int
	// Seats is how many a cluster has while others are there, for requests that are served; alone it has aloneFactor times as
	// many. A request takes one, or several when it works on many objects.
	Seats int
	// Waiting is how many requests may wait for seats, shared out like Reads.
	Waiting int
	// Wait is how long each of them may.
	Wait time.Duration
	// Watches is how many watches may be open, shared out like Reads.
	Watches int
}

// Limiter decides when requests may go on. Safe for many goroutines.
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

// admit waits for the turn of a request and returns the function that ends it; it may be called again.
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
