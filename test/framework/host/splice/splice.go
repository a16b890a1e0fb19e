package splice

import (
	"context"
	"io"
	"net"
	"sync"
)

// Join copies bytes both ways and returns when both ways are done, or when ctx
// is. The end of one way closes the writing half of the other connection, so
// that "no more requests" and "no more answers" pass through. Both are closed
// when it returns.
func Join(ctx context.Context, a, b net.Conn) {
	closeBoth := func() {
		_ = a.Close()
		_ = b.Close()
	}
	defer closeBoth()
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()

	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		ways.Go(func() {
			if _, err := io.Copy(to, from); err != nil {
				// A connection that broke tells nothing to the other one but this.
				closeBoth()
				return
			}
			CloseWrite(to)
		})
	}
	ways.Wait()
}

// CloseWrite says on a connection that nothing follows. One that cannot say so
// is closed.
func CloseWrite(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		_ = conn.Close()
		return
	}
	// An error means that the other end is gone, which the reader sees too.
	_ = half.CloseWrite()
}
