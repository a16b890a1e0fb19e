package fairness

import (
	"context"
	"time"
)

// patience is how long a request may wait for its client, in all, and keep its seats. Other requests of its workspace must not wait
// for a slow client. It is also how long a watch may take to begin. What waits still counts as in flight.
const patience = 3 * time.Second

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
	patience               time.Duration
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
		reads:    newBudget(c.Reads),
		writes:   newBudget(c.Writes),
		watches:  newBudget(c.Watches),
		patience: patience,
		metrics:  m,
	}
}

// admit waits for the turn of a request. Its end must be called.
func (l *Limiter) admit(ctx context.Context, flow, user, kind string, seats int) (*turn, error) {
	inFlight := l.writes
	if kind == kindRead {
		inFlight = l.reads
	}
	if l.pool.seats > 0 {
		seats = min(seats, l.pool.seats)
	}
	acquire := func() (release func(), err error) {
		waiting := l.metrics.waiting.WithLabelValues(kind)
		waiting.Inc()
		defer waiting.Dec()
		start := time.Now()
		if release, err = l.pool.acquire(ctx, flow, user, seats); err == nil {
			l.metrics.wait.WithLabelValues(kind).Observe(time.Since(start).Seconds())
		}
		return release, err
	}
	release, err := acquire()
	if err != nil {
		return nil, err
	}
	if !inFlight.take(flow) {
		release()
		return nil, errFull
	}
	executing := l.metrics.executing.WithLabelValues(kind)
	executing.Inc()
	return &turn{
		acquire: func() (func(), error) {
			release, err := acquire()
			if err != nil {
				return nil, l.refusal(kind, err)
			}
			return release, nil
		},
		finish: func() {
			executing.Dec()
			inFlight.give(flow)
		},
		patience: l.patience,
		release:  release,
	}, nil
}
