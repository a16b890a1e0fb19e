package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// tracker tells many clients about their object in one collection, over a
// single watch: what a controller does, and what a server is built for. Polling,
// or a watch for each object, would measure the polls and the watches.
// Safe for many goroutines.
type tracker struct {
	connection *crowd.Connection
	stop       context.CancelFunc
	done       chan struct{} // closed when the watch is over; err is set by then
	err        error

	mu      sync.Mutex
	waiting map[string]expectation
	// unlisted are those that a list at hand has to show, and has not yet.
	unlisted map[string]bool
}

// expectation is what one client waits for.
type expectation struct {
	// holds judges the object as it is now, nil when it does not exist.
	holds func(*unstructured.Unstructured) bool
	seen  chan<- time.Time
}

// track follows a collection over a connection that it alone uses, until close
// is called. It returns when the first list is in.
func track(ctx context.Context, c *crowd.Connection, resource dynamic.ResourceInterface) (*tracker, error) {
	ctx, stop := context.WithCancel(ctx)
	t := &tracker{connection: c, stop: stop, done: make(chan struct{}), waiting: map[string]expectation{}}
	listed := make(chan struct{})
	var once sync.Once
	go func() {
		defer close(t.done)
		t.err = follow(ctx, resource, metav1.ListOptions{}, observer{
			listed: func(p part) bool {
				t.reset(p)
				if p.last {
					once.Do(func() { close(listed) })
				}
				return false
			},
			changed: func(kind watch.EventType, obj *unstructured.Unstructured) bool {
				if kind == watch.Deleted {
					t.judge(obj.GetName(), nil)
				} else {
					t.judge(obj.GetName(), obj)
				}
				return false
			},
		})
	}()
	select {
	case <-listed:
		return t, nil
	case <-t.done:
		t.close()
		return nil, t.err
	}
}

// close ends the watch and its connection.
func (t *tracker) close() {
	t.stop()
	<-t.done
	t.connection.Close()
}

// expect registers interest in the named object. Call it before the request
// that brings the change about, then no event can be missed. The returned
// function waits, at most changeTimeout, and returns when the change was seen.
func (t *tracker) expect(name string, holds func(*unstructured.Unstructured) bool) func(context.Context) (time.Time, error) {
	seen := make(chan time.Time, 1)
	t.mu.Lock()
	t.waiting[name] = expectation{holds: holds, seen: seen}
	t.mu.Unlock()
	return func(ctx context.Context) (time.Time, error) {
		ctx, cancel := withChangeTimeout(ctx)
		defer cancel()
		select {
		case at := <-seen:
			return at, nil
		case <-t.done:
			return time.Time{}, fmt.Errorf("waiting for %q: %w", name, t.err)
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for %q: %w", name, context.Cause(ctx))
		}
	}
}

// reset judges by a fresh list what was expected when it came. What is expected
// later than that is about a later change, which the watch will show.
func (t *tracker) reset(p part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.first {
		t.unlisted = map[string]bool{}
		for name := range t.waiting {
			t.unlisted[name] = true
		}
	}
	for i := range p.items {
		if name := p.items[i].GetName(); t.unlisted[name] {
			delete(t.unlisted, name)
			t.judgeLocked(name, &p.items[i])
		}
	}
	if p.last {
		for name := range t.unlisted {
			t.judgeLocked(name, nil)
		}
		t.unlisted = nil
	}
}

func (t *tracker) judge(name string, obj *unstructured.Unstructured) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.judgeLocked(name, obj)
}

func (t *tracker) judgeLocked(name string, obj *unstructured.Unstructured) {
	e, ok := t.waiting[name]
	if !ok || !e.holds(obj) {
		return
	}
	delete(t.waiting, name)
	e.seen <- time.Now() // buffered, and only once
}
