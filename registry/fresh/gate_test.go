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
	var inFlight, looks atomic.Int32
	gate := New(func(context.Context) (uint64, error) {
		if inFlight.Add(1) != 1 {
			t.Error("two looks at once")
		}
		defer inFlight.Add(-1)
		looks.Add(1)
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
	if n := looks.Load(); n >= callers*rounds {
		t.Errorf("%d looks for %d callers: none is shared", n, callers*rounds)
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
