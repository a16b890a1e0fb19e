package lasting

import (
	"context"
	"time"
)

// longest is how long a write may wait. It must be less than the 34 s that the stock handlers set: then context.WithTimeout sets
// no timer for them, because the deadline of the context that they get is earlier.
const longest = 33 * time.Second

type contextKey struct{}

// Context returns the context for the stock handler of a write. It has the values of request, and a deadline, but never ends. Call
// end after the handler has returned.
func Context(request context.Context) (ctx context.Context, end context.CancelFunc) {
	request, end = context.WithTimeout(request, longest)
	deadline, _ := request.Deadline()
	return &lasting{Context: context.WithoutCancel(request), request: request, deadline: deadline}, end
}

type lasting struct {
	context.Context // the values
	request         context.Context
	deadline        time.Time
}

// Deadline implements context.Context.
func (l *lasting) Deadline() (time.Time, bool) { return l.deadline, true }

// Value implements context.Context.
func (l *lasting) Value(key any) any {
	if key == (contextKey{}) {
		return l
	}
	return l.Context.Value(key)
}

// Ending returns a context that ends with ctx, or, if that was made from one of [Context], with the request before. Call done when
// nothing waits any more.
func Ending(ctx context.Context) (ending context.Context, done context.CancelFunc) {
	l, ok := ctx.Value(contextKey{}).(*lasting)
	if !ok {
		return ctx, func() {}
	}
	ending, cancel := context.WithCancel(&both{Context: l.request, values: context.WithoutCancel(ctx)})
	stop := context.AfterFunc(ctx, cancel)
	return ending, func() {
		stop()
		cancel()
	}
}

// both ends like one context and has the values of another, except that it no longer counts as lasting.
type both struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (b *both) Value(key any) any {
	if key == (contextKey{}) {
		return nil
	}
	return b.values.Value(key)
}

// AfterFunc spares package context a goroutine for each context that is made from b.
func (b *both) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(b.Context, f) }
