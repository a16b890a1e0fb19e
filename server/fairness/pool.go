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
	// userQueues are the queues in which users of one flow wait for their turn. Each user has hand of them, so that few have all
	// of theirs in common with a busy one.
	userQueues, hand = 16, 2
	// queuesName stands in logs.
	queuesName = "annex-workspace"
)

// Why a request gets no seat.
var (
	errFull    = errors.New("there is no room")
	errTimeout = errors.New("waited for too long")
	errGone    = errors.New("the request has ended")
)

// pool has the seats of all flows. Safe for many goroutines.
type pool struct {
	// seats is how many a flow has while others are there; 0 for any number.
	seats   int
	rivalry rivalry
	// wait is how long a request may wait.
	wait    time.Duration
	waiting *budget
	// inUse counts seats, active flows.
	inUse  gauge
	active basemetrics.GaugeMetric

	mu    sync.Mutex
	flows map[string]*flow // those that have a request
}

// flow has the seats of one flow.
type flow struct {
	requests int
	seats    int
	queues   fairqueuing.QueueSet // nil when it has any number
}

// queuing returns the configuration of the queues of a flow. Their lengths are bounded by the budget alone.
func queuing() fairqueuing.QueuingConfig {
	return fairqueuing.QueuingConfig{Name: queuesName, DesiredNumQueues: userQueues, QueueLengthLimit: math.MaxInt32, HandSize: hand}
}

func dispatching(seats int) fairqueuing.DispatchingConfig {
	return fairqueuing.DispatchingConfig{ConcurrencyLimit: seats, ConcurrencyDenominator: seats}
}

// join notes a request of the flow called name, and lets the flow have the seats that it may have now.
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

// resize gives f so many seats.
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

// acquire waits until it is the turn of user in the flow called name, and returns the function that gives the seats back;
// it may be called again. It fails with errFull, errTimeout or errGone.
func (p *pool) acquire(ctx context.Context, name, user string, seats int) (release func(), err error) {
	if !p.waiting.take(name) {
		return nil, errFull
	}
	defer p.waiting.give(name)
	f, err := p.join(name)
	if err != nil {
		return nil, err
	}
	if f.queues == nil {
		return sync.OnceFunc(func() { p.leave(name, f) }), nil
	}
	bounded, cancel := context.WithTimeout(ctx, p.wait)
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(user)) // it never fails
	work := &request.WorkEstimate{InitialSeats: uint64(seats)}
	// The names are labels of stock metrics, so they are always the same.
	turn, _ := f.queues.StartRequest(bounded, work, hash.Sum64(), "", queuesName, nil, nil, nil)
	if turn == nil {
		cancel()
		p.leave(name, f)
		return nil, errFull
	}
	granted, refused, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	// Seats are taken for as long as a function runs. It runs beside the request, which may give them back before it ends.
	go func() {
		defer close(refused)
		defer cancel()
		defer p.leave(name, f)
		turn.Finish(func() {
			close(granted)
			<-done
		})
	}()
	select {
	case <-granted:
		return sync.OnceFunc(func() { close(done) }), nil
	case <-refused:
	}
	if ctx.Err() != nil {
		return nil, errGone
	}
	return nil, errTimeout
}
