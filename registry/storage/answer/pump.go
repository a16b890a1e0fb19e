package answer

import (
	"context"
	"iter"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
)

// Shown holds, by key, the last state that the client of a watch has of each object, where what matches can change with the
// object.
type Shown[T any] map[string]T

// Change takes note of an event: is says whether the object matches now, in state. It returns the type of the client's own
// event, "" for none, and for a deletion the last state that matched.
func (s Shown[T]) Change(key string, state T, is bool) (watch.EventType, T) {
	last, was := s[key]
	switch {
	case is:
		s[key] = state
		if was {
			return watch.Modified, state
		}
		return watch.Added, state
	case was:
		delete(s, key)
		return watch.Deleted, last
	}
	return "", last
}

type expiryKey struct{}

// WithExpiry returns a context for a watch that ends with an error when expired is closed: what the client knows can no longer
// be brought up to date by events, so it must list anew.
func WithExpiry(ctx context.Context, expired <-chan struct{}) context.Context {
	return context.WithValue(ctx, expiryKey{}, expired)
}

// pump sends initial events and then what a source delivers, from one goroutine.
type pump struct {
	result chan watch.Event
	done   chan struct{}
	stop   func()
	source watch.Interface
	// change turns an event of the source into the one to send: nil to send none. After an error nothing more is sent.
	change func(watch.Event) *watch.Event
	turns  Turns
}

// Turns are events that no change of an object causes.
type Turns struct {
	// C receives a value when there may be some; nil if there never are any.
	C <-chan struct{}
	// Events returns them, in the form in which the source of the pump has events. The goroutine of the pump calls it.
	Events func() iter.Seq[watch.Event]
}

// pumpBuffer is how many events wait for a slow reader before the source's own buffer fills.
const pumpBuffer = 10

// Silent returns ctx for the source of a pump. The stock watch cache says that a watch has begun when it has sent its own initial events,
// of which such a source has none; the pump says it when it has sent those that it was given.
func Silent(ctx context.Context) context.Context {
	return utilflowcontrol.WithInitializationSignal(ctx, silent{})
}

type silent struct{}

// Signal implements flowcontrol.InitializationSignal.
func (silent) Signal() {}

// Wait implements flowcontrol.InitializationSignal.
func (silent) Wait() {}

// Pump returns a watch that owns source, which was started with a [Silent] context. It ends with ctx, with Stop, or with the source.
// Initial may be nil, and change for events as they are.
func Pump(ctx context.Context, initial iter.Seq[watch.Event], source watch.Interface, change func(watch.Event) *watch.Event, turns Turns) watch.Interface {
	p := &pump{result: make(chan watch.Event, pumpBuffer), done: make(chan struct{}), source: source, change: change, turns: turns}
	p.stop = sync.OnceFunc(func() {
		close(p.done)
		source.Stop()
	})
	go p.run(ctx, initial)
	return p
}

// ResultChan implements watch.Interface.
func (p *pump) ResultChan() <-chan watch.Event { return p.result }

// Stop implements watch.Interface.
func (p *pump) Stop() { p.stop() }

func (p *pump) run(ctx context.Context, initial iter.Seq[watch.Event]) {
	defer close(p.result)
	defer p.stop()
	if initial == nil {
		initial = func(func(watch.Event) bool) {}
	}
	for event := range initial {
		if !p.send(ctx, event) || event.Type == watch.Error {
			return
		}
	}
	utilflowcontrol.WatchInitialized(ctx)
	expired, _ := ctx.Value(expiryKey{}).(<-chan struct{}) // without one nothing is ever received
	for {
		select {
		case event, ok := <-p.source.ResultChan():
			if !ok {
				return
			}
			if !p.pass(ctx, event) {
				return
			}
		case <-p.turns.C:
			for event := range p.turns.Events() {
				if !p.pass(ctx, event) {
					return
				}
			}
		case <-expired:
			p.send(ctx, *ErrorEvent(apierrors.NewResourceExpired("what the watch covers has changed: list again")))
			return
		case <-p.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// pass sends an event of the source, if it is one for the client. It returns false when nothing more can be sent.
func (p *pump) pass(ctx context.Context, event watch.Event) bool {
	if p.change != nil {
		changed := p.change(event)
		if changed == nil {
			return true
		}
		event = *changed
	}
	return p.send(ctx, event) && event.Type != watch.Error
}

func (p *pump) send(ctx context.Context, event watch.Event) bool {
	select {
	case p.result <- event:
		return true
	case <-p.done:
	case <-ctx.Done():
	}
	return false
}

// ErrorEvent is how a watch that has begun reports err.
func ErrorEvent(err error) *watch.Event {
	var status metav1.Status
	if s, ok := err.(apierrors.APIStatus); ok {
		status = s.Status()
	} else {
		status = apierrors.NewInternalError(err).Status()
	}
	return &watch.Event{Type: watch.Error, Object: &status}
}
