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
)

const (
	// flowQueues and userQueues are the queues in which flows, and users of one flow, wait for their turn. Each of them has
	// hand queues of its own, so that few have all of theirs in common with a busy one.
	flowQueues, userQueues, hand = 64, 16, 2
)

// Why a request gets no seat.
var (
	errFull    = errors.New("too many requests are waiting")
	errTimeout = errors.New("waited for too long")
	errGone    = errors.New("the client is gone")
)

// pool has the seats for requests of one kind. Safe for many goroutines.
type pool struct {
	// perFlow is how many seats a flow has; 0 for any number.
	perFlow int
	// wait is how long a request may wait.
	wait    time.Duration
	waiting *budget
	// all is nil when the server has any number of seats.
	all      fairqueuing.QueueSet
	observer observer

	mu    sync.Mutex
	flows map[string]*flow // those that have a request
}

// flow has the seats of one flow.
type flow struct {
	requests int
	queues   fairqueuing.QueueSet // nil when it has any number
}

func newPool(limit, perFlow, waiting int, wait time.Duration, o observer) (*pool, error) {
	p := &pool{perFlow: perFlow, wait: wait, waiting: newBudget(waiting), observer: o, flows: map[string]*flow{}}
	var err error
	if limit > 0 {
		p.all, err = newQueues("annex-server", flowQueues, limit, discard())
	}
	return p, err
}

// newQueues returns stock queues. Their lengths are bounded by the budget alone.
func newQueues(name string, queues, seats int, inUse gauge) (fairqueuing.QueueSet, error) {
	completer, err := queueset.NewQueueSetFactory(eventclock.Real{}).BeginConstruction(
		fairqueuing.QueuingConfig{Name: name, DesiredNumQueues: queues, QueueLengthLimit: math.MaxInt32 / queues, HandSize: hand},
		metrics.RatioedGaugePair{RequestsWaiting: discard(), RequestsExecuting: discard()}, inUse, discard())
	if err != nil {
		return nil, fmt.Errorf("preparing the queues of %s: %w", name, err)
	}
	return completer.Complete(fairqueuing.DispatchingConfig{ConcurrencyLimit: seats, ConcurrencyDenominator: seats}), nil
}

// join notes a request of the flow called name.
func (p *pool) join(name string) (*flow, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.flows[name]
	if !ok {
		f = &flow{}
		if p.perFlow > 0 {
			var err error
			if f.queues, err = newQueues("annex-workspace", userQueues, p.perFlow, p.observer.seats); err != nil {
				return nil, err
			}
		}
		p.flows[name] = f
		p.observer.flows.Inc()
	}
	f.requests++
	return f, nil
}

// leave is the end of join.
func (p *pool) leave(name string, f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.requests--; f.requests == 0 {
		delete(p.flows, name)
		p.observer.flows.Dec()
	}
}

// seat is what a request holds while it is served.
type seat struct {
	once sync.Once
	done chan struct{}
}

// release gives the seat back; it may be called again.
func (s *seat) release() { s.once.Do(func() { close(s.done) }) }

// acquire returns a seat for a request of user in the flow called name, which counts as so many seats of the flow. It waits
// for its turn, and fails with errFull, errTimeout or errGone.
func (p *pool) acquire(ctx context.Context, name, user string, seats int) (*seat, error) {
	if !p.waiting.take(name) {
		return nil, errFull
	}
	p.observer.waiting.Inc()
	defer func() {
		p.observer.waiting.Dec()
		p.waiting.give(name)
	}()
	f, err := p.join(name)
	if err != nil {
		return nil, err
	}
	s := &seat{done: make(chan struct{})}
	granted, refused := make(chan struct{}), make(chan struct{})
	bounded, cancel := context.WithTimeout(ctx, p.wait)
	// A seat is taken for as long as a function runs. It runs beside the request, which may give the seat back before it ends.
	go func() {
		defer cancel()
		defer p.leave(name, f)
		served := false
		inTurn(bounded, f.queues, user, seats, func() {
			inTurn(bounded, p.all, name, 1, func() {
				served = true
				p.observer.executing.Inc()
				defer p.observer.executing.Dec()
				close(granted)
				<-s.done
			})
		})
		if !served {
			close(refused)
		}
	}()
	select {
	case <-granted:
		return s, nil
	case <-refused:
	}
	switch {
	case ctx.Err() != nil:
		return nil, errGone
	case bounded.Err() != nil:
		return nil, errTimeout
	default:
		return nil, errFull
	}
}

// inTurn runs do when it is the turn of who in queues, or not at all when that is not before ctx ends.
func inTurn(ctx context.Context, queues fairqueuing.QueueSet, who string, seats int, do func()) {
	if queues == nil {
		do()
		return
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(who)) // it never fails
	work := &request.WorkEstimate{InitialSeats: uint64(seats)}
	// The names are those of stock metrics, whose number they bound.
	if turn, _ := queues.StartRequest(ctx, work, hash.Sum64(), "", "annex", nil, nil, nil); turn != nil {
		turn.Finish(do)
	}
}
