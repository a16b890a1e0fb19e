package fairness

import (
	"context"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/nice"
)

// patience is how long a request may wait for its client, in all, and keep its seats. Other requests of its workspace must not wait
// for a slow client. What waits still counts as in flight.
const patience = 3 * time.Second

// longestBegin is after which time a watch has begun, even if storage does not say so.
const longestBegin = time.Minute

// Config limits how much is served at once. In each field, 0 means no limit.
type Config struct {
	// Reads and Writes are the requests in flight of all clusters together. A cluster may have as many as remain free.
	Reads, Writes int
	// Seats are the seats of a tenant while other tenants are active, and of a cluster while other clusters are active. What is active
	// alone has aloneFactor times as many. A request takes one seat, or several if it works on many objects.
	Seats int
	// Waiting limits the requests that wait for seats. It is shared like Reads.
	Waiting int
	// Wait is how long each of them may wait.
	Wait time.Duration
	// Watches limits the open watches. It is shared like Reads.
	Watches int
	// Answers limits the bytes that answers take in memory until they are sent. It is shared like Reads; one answer has at most a quarter.
	Answers int
}

// Limiter decides when requests may proceed. Safe for many goroutines.
type Limiter struct {
	line                            *line
	pathOf                          PathOf
	reads, writes, watches, answers *budget
	patience                        time.Duration
	metrics                         *Metrics
}

// PathOf returns, from memory, the canonical path of a cluster; false when it is not known.
type PathOf func(logicalcluster.Name) (logicalcluster.Path, bool)

// New returns a limiter that counts in m. The path of a cluster says to which tenant it belongs.
func New(c Config, pathOf PathOf, m *Metrics) *Limiter {
	return &Limiter{
		line: &line{
			workspaces: &pool{seats: c.Seats, inUse: gauge{m.seats.Add}, active: m.flows, flows: map[string]*flow{}},
			tenants:    &pool{seats: c.Seats, inUse: discard(), active: m.tenants, flows: map[string]*flow{}},
			wait:       c.Wait,
			waiting:    newBudget(c.Waiting),
		},
		pathOf:   pathOf,
		reads:    newBudget(c.Reads),
		writes:   newBudget(c.Writes),
		watches:  newBudget(c.Watches),
		answers:  newBudget(c.Answers),
		patience: patience,
		metrics:  m,
	}
}

// Work does work of the server for a cluster, such as a reconcile. It has no seat. It gives way at the processors whenever the requests of the
// cluster do, or when there is much work for its tenant. Requests do not give way because of it: others may cause it, such as the provider
// of an API that the cluster has bound.
func (l *Limiter) Work(ctx context.Context, cluster logicalcluster.Name, work func(context.Context)) {
	s := shareOfCluster(cluster, l.pathOf)
	begun := time.Now()
	defer func() { l.line.noteWork(s, begun, time.Now()) }()
	if !l.line.demanding(s) && !l.line.hasMuchWork(s) {
		work(ctx)
		return
	}
	nice.Do(func() { work(nice.With(ctx)) })
}

// admit waits for the turn of a request. Its end must be called.
func (l *Limiter) admit(ctx context.Context, s share, user, kind string, seats int) (*turn, error) {
	inFlight := l.writes
	if kind == kindRead {
		inFlight = l.reads
	}
	acquire := func() (release func(), err error) {
		waiting := l.metrics.waiting.WithLabelValues(kind)
		waiting.Inc()
		defer waiting.Dec()
		start := time.Now()
		if release, err = l.line.acquire(ctx, s, user, seats); err == nil {
			l.metrics.wait.WithLabelValues(kind).Observe(time.Since(start).Seconds())
		}
		return release, err
	}
	release, err := acquire()
	if err != nil {
		return nil, err
	}
	if !inFlight.take(s) {
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
			inFlight.give(s)
		},
		borrow: func(cluster logicalcluster.Name) (func(), error) {
			other := shareOfCluster(cluster, l.pathOf)
			if !inFlight.take(other) {
				return nil, l.busy(kind)
			}
			return func() { inFlight.give(other) }, nil
		},
		held:     heldBy(l, s),
		patience: l.patience,
		release:  release,
	}, nil
}
