package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// FreePort returns a port of the loopback interface on which nobody listens. It
// is not one that the system gives to connections, so that it is still free
// when a process is started, and started again.
func FreePort(ctx context.Context) (int, error) {
	for {
		port := 12000 + rand.IntN(18000)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		if ctx.Err() != nil || !errors.Is(err, syscall.EADDRINUSE) {
			return 0, fmt.Errorf("listening on port %d: %w", port, err)
		}
	}
}
