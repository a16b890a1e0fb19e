package tracing

import (
	"context"
	"sync/atomic"
	"time"
)

// resolution is a look for a workspace.
type resolution struct {
	address      string
	began, ended time.Time
	told         atomic.Bool // whether a span says so
}

type resolutionKey struct{}

// Resolved returns ctx with a look for the workspace at an address, which began at a time and has just ended. The span of the
// request gets a child that says so.
func Resolved(ctx context.Context, address string, began time.Time) context.Context {
	return context.WithValue(ctx, resolutionKey{}, &resolution{address: address, began: began, ended: time.Now()})
}
