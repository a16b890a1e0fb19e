package crowd

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestParallel_DoesEachItemOnce(t *testing.T) {
	done := make([]atomic.Int32, 100)
	busy := make([]atomic.Bool, 7)
	_, err := Parallel(t.Context(), len(busy), len(done), func(_ context.Context, client, item int) error {
		if !busy[client].CompareAndSwap(false, true) {
			t.Errorf("client %d does two items at a time", client)
		}
		defer busy[client].Store(false)
		done[item].Add(1)
		return nil
	})
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
	for i := range done {
		if n := done[i].Load(); n != 1 {
			t.Errorf("item %d was done %d times", i, n)
		}
	}
}

func TestParallel_FirstErrorEndsAll(t *testing.T) {
	broken := errors.New("broken")
	_, err := Parallel(t.Context(), 4, 1_000_000, func(ctx context.Context, client, _ int) error {
		if client == 3 {
			return broken
		}
		<-ctx.Done() // would hang if the others were not told
		return ctx.Err()
	})
	if !errors.Is(err, broken) {
		t.Errorf("error is %v, want the first one", err)
	}
}

func TestSleep_EndsWithTheContext(t *testing.T) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	if err := Sleep(ctx, time.Hour); !errors.Is(err, enough) {
		t.Errorf("error is %v, want the context's cause", err)
	}
}
