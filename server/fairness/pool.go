package fairness

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/eventclock"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/queueset"
	"k8s.io/apiserver/pkg/util/flowcontrol/metrics"
	"k8s.io/apiserver/pkg/util/flowcontrol/request"
	basemetrics "k8s.io/component-base/metrics"
)

const (
	// queues is the number of queues in which the users of a workspace wait, or the workspaces of a tenant. Each of them has hand queues, so
	// that few share all their queues with a busy one.
	queues, hand = 16, 2
	// queuesName appears in logs.
	queuesName = "annex-workspace"
)

// Reasons why a request gets no seat.
var (
	errFull    = errors.New("there is no room")
	errTimeout = errors.New("waited for too long")
	errGone    = errors.New("the request has ended")
)

// pool manages the seats of all flows. Safe for many goroutines.
type pool struct {
	// seats is the number of seats of a flow while other flows are active; 0 means no limit.
	seats   int
	rivalry rivalry
	// inUse counts seats, active flows.
	inUse  gauge
	active basemetrics.GaugeMetric

	mu    sync.Mutex
	flows map[string]*flow // flows with a request
	work  backlog
}

// flow manages the seats of one flow.
type flow struct {
	requests int
	seats    int
	queues   fairqueuing.QueueSet // nil if the seats are not limited
}

// queuing returns the configuration of the queues of a flow. Only the budget limits their lengths.
func queuing() fairqueuing.QueuingConfig {
	return fairqueuing.QueuingConfig{Name: queuesName, DesiredNumQueues: queues, QueueLengthLimit: math.MaxInt32, HandSize: hand}
}

func dispatching(seats int) fairqueuing.DispatchingConfig {
	return fairqueuing.DispatchingConfig{ConcurrencyLimit: seats, ConcurrencyDenominator: seats}
}

// join records a request of the flow called name, and sets the current number of seats of the flow.
func (p *pool) join(name string) (*flow, error) {
	seats := p.seats
	if !p.rivalry.note(name, time.Now()) {
		seats *= aloneFactor
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.flows[name]
	if !ok {
		f = &flow{}
	}
	if f.seats != seats {
		if err := f.resize(seats, p.inUse); err != nil {
			return nil, fmt.Errorf("preparing the queues of %s: %w", name, err)
		}
	}
	if !ok {
		p.flows[name] = f
		p.active.Inc()
	}
	f.requests++
	return f, nil
}

// resize sets the number of seats of f.
func (f *flow) resize(seats int, inUse gauge) error {
	var change fairqueuing.QueueSetCompleter
	var err error
	if f.queues != nil {
		change, err = f.queues.BeginConfigChange(queuing())
	} else {
		requests := metrics.RatioedGaugePair{RequestsWaiting: discard(), RequestsExecuting: discard()}
		change, err = queueset.NewQueueSetFactory(eventclock.Real{}).BeginConstruction(queuing(), requests, inUse, discard())
	}
	if err != nil {
		return err
	}
	f.queues, f.seats = change.Complete(dispatching(seats)), seats
	return nil
}

// leave is the end of join.
func (p *pool) leave(name string, f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.requests--; f.requests == 0 {
		delete(p.flows, name)
		p.active.Dec()
	}
}

// acquire waits until it is the turn of who in the flow called name, and returns the function that releases the seats; it may be called
// more than once. It fails with errTimeout when ctx ends before.
func (p *pool) acquire(ctx context.Context, name, who string, seats int) (release func(), err error) {
	if p.seats > 0 {
		seats = min(seats, p.seats)
	}
	f, err := p.join(name)
	if err != nil {
		return nil, err
	}
	if f.queues == nil {
		return sync.OnceFunc(func() { p.leave(name, f) }), nil
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(who)) // it never fails
	work := &request.WorkEstimate{InitialSeats: uint64(seats)}
	// The names are labels of stock metrics, so they are always the same.
	turn, _ := f.queues.StartRequest(ctx, work, hash.Sum64(), "", queuesName, nil, nil, nil)
	if turn == nil {
		p.leave(name, f)
		return nil, errFull
	}
	granted, refused, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	// Seats are taken while a function runs. It runs concurrently with the request, which may release the seats before it ends.
	go func() {
		defer close(refused)
		defer p.leave(name, f)
		turn.Finish(func() {
			close(granted)
			<-done
		})
	}()
	select {
	case <-granted:
		begun := time.Now()
		return sync.OnceFunc(func() {
			p.note(name, begun, time.Now())
			close(done)
		}), nil
	case <-refused:
		return nil, errTimeout
	}
}

// note records that work of the flow called name went on from one time to another.
func (p *pool) note(name string, from, to time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work.note(name, from, to)
}

// demanding reports whether the flow called name has several requests, or had much work, while other flows are active.
func (p *pool) demanding(name string, now time.Time) bool {
	p.mu.Lock()
	f := p.flows[name]
	much := f != nil && f.requests > 1 || p.work.much(name, now)
	p.mu.Unlock()
	return much && p.rivalry.rivals(now)
}
