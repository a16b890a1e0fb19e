package annextest

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// patience is how long everything that happens by itself may take. It says nothing about how long it takes: a busy machine needs a minute.
const patience = 2 * time.Minute

// Eventually waits until condition returns nil. After two minutes, it fails the test with the last error.
func Eventually(tb testing.TB, condition func(ctx context.Context) error) {
	tb.Helper()
	if err := eventually(tb.Context(), condition); err != nil {
		tb.Fatal(err)
	}
}

func eventually(ctx context.Context, condition func(ctx context.Context) error) error {
	last := errors.New("the condition was not checked")
	err := wait.PollUntilContextTimeout(ctx, pollEvery, patience, true, func(ctx context.Context) (bool, error) {
		err := condition(ctx)
		if err != nil && ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return errors.Join(last, err)
	}
	return nil
}
