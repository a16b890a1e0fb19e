package etcd

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	spancodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// closeTimeout is how long the end of calls is waited for. Etcd refuses those that have not ended then, for instance because of a disk
	// that does not answer.
	closeTimeout = 5 * time.Second
	// tracer is what records the spans of calls.
	tracer = "github.com/annex-dev/annex/server/etcd"
)

// errEnded has a code with which a client does not try again.
var errEnded = status.Error(codes.FailedPrecondition, "the embedded etcd has ended")

// direct answers what a client in this process reads and writes by calls of functions. On its way through the socket, each request and each
// answer is encoded, decoded and handed from goroutine to goroutine, and these goroutines do not know whose request it is: none of that
// work could give way (registry/nice). Watches, and long reads in a stream, take the socket. Safe for many goroutines.
type direct struct {
	server etcdserverpb.KVServer

	// calls is held for reading during each call: etcd must not end meanwhile.
	calls  sync.RWMutex
	closed bool
}

// newDirect returns what answers by calls of server.
func newDirect(server *etcdserver.EtcdServer) *direct {
	return &direct{server: v3rpc.NewQuotaKVServer(server)}
}

// close refuses further calls, and waits for those that have begun.
func (d *direct) close() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.calls.Lock()
		defer d.calls.Unlock()
		d.closed = true
	}()
	select {
	case <-ended:
	case <-time.After(closeTimeout):
	}
}

// intercept is the last interceptor of a client.
func (d *direct) intercept(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	call := d.call(request, reply)
	if call == nil {
		return invoke(ctx, method, request, reply, conn, options...)
	}
	d.calls.RLock()
	defer d.calls.RUnlock()
	if d.closed {
		return errEnded
	}
	// What goes through the socket has the same span (server/tracing).
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(tracer).Start(ctx, strings.TrimPrefix(method, "/"), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	err := ctx.Err()
	if err == nil {
		err = call(ctx)
	}
	if err == nil {
		return nil
	}
	// Etcd has errors of its own for a time that is over, as if it had been too slow.
	if ctx.Err() != nil {
		err = status.FromContextError(ctx.Err()).Err()
	}
	span.SetStatus(spancodes.Error, err.Error())
	return err
}

// call returns what does the request and writes the reply, or nil if that takes the socket.
func (d *direct) call(request, reply any) func(context.Context) error {
	switch request := request.(type) {
	case *etcdserverpb.RangeRequest:
		return func(ctx context.Context) error {
			answer, err := d.server.Range(ctx, request)
			if to := reply.(*etcdserverpb.RangeResponse); err == nil {
				to.Header, to.Kvs, to.More, to.Count = answer.Header, answer.Kvs, answer.More, answer.Count
			}
			return err
		}
	case *etcdserverpb.TxnRequest:
		return func(ctx context.Context) error {
			answer, err := d.server.Txn(ctx, request)
			if to := reply.(*etcdserverpb.TxnResponse); err == nil {
				to.Header, to.Succeeded, to.Responses = answer.Header, answer.Succeeded, answer.Responses
			}
			return err
		}
	}
	return nil
}
