package fairness

import (
	"context"
	"fmt"
	"time"
)

// Config says how much is served at once. 0 is for no bound, in each of them.
type Config struct {
	// Reads and Writes are served at once, of all clusters together.
	Reads, Writes int
	// ReadSeats and WriteSeats are what a single cluster has of them. A request that works on many objects takes several.
	ReadSeats, WriteSeats int
	// Waiting is how many requests may wait for their turn; those of one cluster may while they are fewer than the room left.
	Waiting int
	// Wait is how long each of them may.
	Wait time.Duration
	// Watches is how many watches may be open, shared out like Waiting.
	Watches int
}

// Limiter decides when requests may go on. Safe for many goroutines.
type Limiter struct {
	reads, writes *pool
	watches       *budget
	metrics       *Metrics
}

// New returns a limiter that counts in m.
func New(c Config, m *Metrics) (*Limiter, error) {
	reads, err := newPool(c.Reads, c.ReadSeats, c.Waiting, c.Wait, m.observe(kindRead))
	if err != nil {
		return nil, fmt.Errorf("preparing the seats of reads: %w", err)
	}
	writes, err := newPool(c.Writes, c.WriteSeats, c.Waiting, c.Wait, m.observe(kindWrite))
	if err != nil {
		return nil, fmt.Errorf("preparing the seats of writes: %w", err)
	}
	return &Limiter{reads: reads, writes: writes, watches: newBudget(c.Watches), metrics: m}, nil
}

// admit returns a seat for a request.
func (l *Limiter) admit(ctx context.Context, flow, user string, read bool, seats int) (*seat, error) {
	pool, kind := l.writes, kindWrite
	if read {
		pool, kind = l.reads, kindRead
	}
	if pool.perFlow > 0 {
		seats = min(seats, pool.perFlow)
	}
	start := time.Now()
	s, err := pool.acquire(ctx, flow, user, seats)
	if err == nil {
		l.metrics.wait.WithLabelValues(kind).Observe(time.Since(start).Seconds())
	}
	return s, err
}
