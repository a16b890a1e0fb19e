package fresh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestGate_NeverGivesAnOlderLook(t *testing.T) {
	var clock atomic.Uint64
	var inFlight atomic.Int32
	gate := New(func(context.Context) (uint64, error) {
		if inFlight.Add(1) != 1 {
			t.Error("two looks at once")
		}
		defer inFlight.Add(-1)
		return clock.Load(), nil
	})
	const callers, rounds = 16, 200
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range rounds {
				now := clock.Add(1)
				if got, err := gate.Wait(t.Context()); err != nil || got < now {
					t.Errorf("at %d the gate answers %d, %v", now, got, err)
				}
			}
		})
	}
	all.Wait()
}

func TestGate_CallersShareTheNextLook(t *testing.T) {
	goOn := make(chan struct{})
	looks := 0
	gate := New(func(context.Context) (uint64, error) {
		looks++
		<-goOn
		return 1, nil
	})
	running := gate.join(t.Context())
	next := gate.join(t.Context())
	if next == running {
		t.Error("a caller joins a look that began before it came")
	}
	for range 100 {
		if gate.join(t.Context()) != next {
			t.Fatal("a caller does not share the look of those who came with it")
		}
	}
	close(goOn)
	<-running.done
	<-next.done
	if looks != 2 {
		t.Errorf("%d looks, want 2", looks)
	}
}

func TestGate_TellsOfFailureAndTriesAgain(t *testing.T) {
	broken := errors.New("etcd is away")
	gate := New(func(context.Context) (uint64, error) { return 7, broken })
	if _, err := gate.Wait(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	broken = nil
	if got, err := gate.Wait(t.Context()); err != nil || got != 7 {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestGate_EndsWithTheRequestThatOthersOutlive(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	gate := New(func(ctx context.Context) (uint64, error) {
		begun <- struct{}{}
		<-goOn
		return 1, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := gate.Wait(ctx)
		first <- err
	}()
	<-begun
	second := make(chan error)
	go func() {
		_, err := gate.Wait(t.Context())
		second <- err
	}()
	cancel()
	if err := <-first; !apierrors.IsTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
	goOn <- struct{}{}
	go func() { <-begun; goOn <- struct{}{} }()
	if err := <-second; err != nil {
		t.Error(err)
	}
}
