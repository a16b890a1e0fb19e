package nice

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"
)

const (
	// kept is how many threads without work are kept.
	kept = 16
	// most is how many threads there are at a time. The runtime ends a process that has ten times as many. More work is done where it is.
	most = 1 << 10
)

// job is work for another thread.
type job struct {
	work func()
	// done receives what work has panicked with, once; nil if it has not.
	done chan any
}

var (
	// idle holds threads that have no work.
	idle = make(chan chan<- job, kept)
	// working counts those that have.
	working atomic.Int32
)

// Do does work on a thread that gives way to others if there are not too many of them, and returns when it has ended. It panics if work does. Work that only waits gains
// nothing by it, and a lock that it holds while others wait for it holds them up for longer.
func Do(work func()) {
	defer working.Add(-1)
	if working.Add(1) > most || !supported {
		work()
		return
	}
	var thread chan<- job
	select {
	case thread = <-idle:
	default:
		thread = start()
	}
	done := make(chan any, 1)
	thread <- job{work: work, done: done}
	if panicked := <-done; panicked != nil {
		panic(panicked)
	}
}

// start starts a thread.
func start() chan<- job {
	jobs := make(chan job)
	go func() {
		lower() // the thread ends with this goroutine
		for j := range jobs {
			j.do()
			select {
			case idle <- jobs:
			default:
				return
			}
		}
	}()
	return jobs
}

// do does the job. The stack of a panic is lost when it goes on elsewhere, so it becomes a part of the message, as in the stock filter for
// timeouts; net/http compares the value of its own.
func (j job) do() {
	var panicked any
	defer func() { j.done <- panicked }()
	defer func() {
		panicked = recover()
		if err, _ := panicked.(error); panicked != nil && !errors.Is(err, http.ErrAbortHandler) {
			panicked = fmt.Sprintf("%v\n%s", panicked, debug.Stack())
		}
	}()
	begun := used()
	j.work()
	rest(used() - begun)
}

type contextKey struct{}

// With returns ctx for a request whose work gives way to that of others.
func With(ctx context.Context) context.Context { return context.WithValue(ctx, contextKey{}, true) }

// Run does a part of the work of the request that ctx is for: as [Do] does if that gives way, and where it is otherwise. Work gets a context
// in which Run stays on its thread.
func Run(ctx context.Context, work func(context.Context)) {
	if gives, _ := ctx.Value(contextKey{}).(bool); !gives {
		work(ctx)
		return
	}
	Do(func() { work(context.WithValue(ctx, contextKey{}, false)) })
}
