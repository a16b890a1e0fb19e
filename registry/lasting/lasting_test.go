package lasting

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/handlers/finisher"
)

// stockTimeout is the unexported requestTimeoutUpperBound of k8s.io/apiserver/pkg/endpoints/handlers.
const stockTimeout = 34 * time.Second

type valueKey struct{}

// stock runs work as the stock handlers do, and reports its return.
func stock(ctx context.Context, work func(context.Context)) (returned <-chan error) {
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, stockTimeout)
		defer cancel()
		_, err := finisher.FinishRequest(ctx, func() (runtime.Object, error) {
			work(ctx)
			return nil, nil
		})
		result <- err
	}()
	return result
}

func TestContext_TheStockHandlerReturnsAfterItsWork(t *testing.T) {
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"the client leaves": context.WithCancel,
		"the time is up": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(ctx, 0)
			return ctx, func() { cancel() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			request, leave := end(context.WithValue(t.Context(), valueKey{}, "x"))
			ctx, done := Context(request)
			defer done()
			working, gate := make(chan struct{}), make(chan struct{})
			returned := stock(ctx, func(ctx context.Context) {
				ending, done := Ending(ctx)
				defer done()
				close(working)
				<-ending.Done()
				if !errors.Is(ending.Err(), request.Err()) {
					t.Errorf("ended with %v, want %v", ending.Err(), request.Err())
				}
				child, cancel := context.WithCancel(ending)
				defer cancel()
				if !errors.Is(child.Err(), request.Err()) {
					t.Errorf("what is made from it ended with %v, want %v", child.Err(), request.Err())
				}
				if ending.Value(valueKey{}) != "x" || ctx.Value(valueKey{}) != "x" {
					t.Error("values are lost")
				}
				<-gate
			})
			<-working
			leave()
			select {
			case err := <-returned:
				t.Fatalf("the handler returned before its work had ended: %v", err)
			case <-time.After(20 * time.Millisecond): // it would return at once
			}
			close(gate)
			if err := <-returned; err != nil {
				t.Errorf("%v, want the result of the work", err)
			}
		})
	}
}

func TestContext_HasTheEarlierDeadline(t *testing.T) {
	for name, tc := range map[string]struct{ own, want time.Duration }{
		"that of the request":       {time.Second, time.Second},
		"less than that of a write": {time.Hour, longest},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			request, cancel := context.WithTimeout(t.Context(), tc.own)
			defer cancel()
			ctx, done := Context(request)
			defer done()
			ending, release := Ending(ctx)
			defer release()
			for _, ctx := range []context.Context{ctx, ending} {
				deadline, ok := ctx.Deadline()
				if early := deadline.Sub(began.Add(tc.want)); !ok || early < 0 || early > time.Since(began) {
					t.Errorf("deadline %s after the wanted one (%t)", early, ok)
				}
			}
		})
	}
	if longest >= stockTimeout {
		t.Errorf("a write may wait for %s, which must be less than %s", longest, stockTimeout)
	}
}

func TestEnding_EndsWithWhatItWasMadeFrom(t *testing.T) {
	request, leave := context.WithCancel(t.Context())
	defer leave()
	ctx, done := Context(request)
	defer done()
	part, cancel := context.WithCancel(ctx)
	ending, release := Ending(part)
	defer release()
	if ending.Err() != nil {
		t.Fatal(ending.Err())
	}
	cancel()
	<-ending.Done()

	// What others wait for, too, does not end with the request that started it.
	ending, release = Ending(ctx)
	defer release()
	shared, stop := Ending(context.WithoutCancel(ending))
	defer stop()
	leave()
	<-ending.Done()
	if shared.Err() != nil {
		t.Errorf("what is shared ended: %v", shared.Err())
	}
}

func TestEnding_OfAnyOtherContextIsThatContext(t *testing.T) {
	ctx := t.Context()
	if ending, _ := Ending(ctx); ending != ctx {
		t.Error("it is another one")
	}
}
