package etcd

import (
	"context"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// Hold keeps the requests of a client from etcd until somebody has looked whether the store and the data there are for this process. So
// nothing is read or written before. A watch is not held: it begins where a read ended.
type Hold struct {
	once     sync.Once
	released chan struct{}
	err      error
}

// NewHold returns a hold that is not released.
func NewHold() *Hold { return &Hold{released: make(chan struct{})} }

// Release lets all requests through or, with an error, refuses them with it. Only the first call has an effect.
func (h *Hold) Release(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.released)
	})
}

// Released reports whether Release was called.
func (h *Hold) Released() bool {
	select {
	case <-h.released:
		return true
	default:
		return false
	}
}

// Wait returns when the hold is released, with the error of Release, or when ctx ends.
func (h *Hold) Wait(ctx context.Context) error {
	select {
	case <-h.released:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

type passing struct{}

// Passing returns ctx for the requests of whoever decides about the release.
func Passing(ctx context.Context) context.Context { return context.WithValue(ctx, passing{}, true) }

func (h *Hold) intercept(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if ctx.Value(passing{}) == nil {
		if err := h.Wait(ctx); err != nil {
			return err
		}
	}
	return invoke(ctx, method, request, reply, conn, options...)
}

// interceptStream holds long reads, which come in a stream.
func (h *Hold) interceptStream(ctx context.Context, stream *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	if ctx.Value(passing{}) == nil && method != etcdserverpb.Watch_Watch_FullMethodName {
		if err := h.Wait(ctx); err != nil {
			return nil, err
		}
	}
	return streamer(ctx, stream, conn, method, options...)
}
