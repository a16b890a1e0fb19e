package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/test/framework/host/splice"
)

// DialFunc connects to a TCP address such as "10.0.0.17:443".
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// egress is an HTTP CONNECT proxy on a unix socket. kube-apiserver sends
// through it what goes to Services, pods and nodes: requests of the aggregator
// and of webhooks, and the proxy, log and exec subresources. This is the egress
// selector that clusters use whose control plane is outside of their network
// (KEP-1281).
type egress struct {
	// socketDir is short, for the path of a unix socket may have 107 bytes only.
	socketDir string
	listener  net.Listener

	mu   sync.Mutex
	dial DialFunc // nil: as from this process

	connections sync.WaitGroup
	cancel      context.CancelFunc
}

// egressConfig is what --egress-selector-config-file reads.
const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %s
`

// startEgress serves a proxy and writes its description for kube-apiserver into
// dir. It returns the path of that.
func startEgress(dir string) (*egress, string, error) {
	socketDir, err := os.MkdirTemp("", "annex-egress-")
	if err != nil {
		return nil, "", fmt.Errorf("making a directory for the socket: %w", err)
	}
	socket := filepath.Join(socketDir, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("listening for kube-apiserver: %w", err), os.RemoveAll(socketDir))
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &egress{socketDir: socketDir, listener: listener, cancel: cancel}
	e.connections.Go(func() { e.serve(ctx) })

	file := filepath.Join(dir, "egress.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, egressConfig, socket), 0o600); err != nil {
		return nil, "", errors.Join(fmt.Errorf("writing the configuration of the egress proxy: %w", err), e.stop())
	}
	return e, file, nil
}

// route sets who connects from now on; nil means this process itself.
func (e *egress) route(dial DialFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dial = dial
}

func (e *egress) connect(ctx context.Context, address string) (net.Conn, error) {
	e.mu.Lock()
	dial := e.dial
	e.mu.Unlock()
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial(ctx, "tcp", address)
}

func (e *egress) serve(ctx context.Context) {
	for {
		conn, err := e.listener.Accept()
		if err != nil {
			return // closed by stop
		}
		e.connections.Go(func() { e.handle(ctx, conn) })
	}
}

// handle answers one CONNECT and then passes bytes both ways until either end
// is done.
func (e *egress) handle(ctx context.Context, client net.Conn) {
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	reader := bufio.NewReader(client)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	if request.Method != http.MethodConnect {
		answer(client, http.StatusMethodNotAllowed, "this proxy knows CONNECT only")
		return
	}
	server, err := e.connect(ctx, request.Host)
	if err != nil {
		klog.FromContext(ctx).V(4).Info("The egress proxy cannot connect", "address", request.Host, "err", err)
		answer(client, http.StatusBadGateway, err.Error())
		return
	}
	defer server.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection Established\r\n\r\n"); err != nil {
		return
	}
	splice.Join(ctx, &bufferedConn{Conn: client, reader: reader}, server)
}

// answer refuses a request. A client that is gone needs no answer.
func answer(w io.Writer, status int, text string) {
	_, _ = fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
}

// stop ends the proxy and cuts what goes through it.
func (e *egress) stop() error {
	e.cancel()
	_ = e.listener.Close()
	e.connections.Wait()
	if err := os.RemoveAll(e.socketDir); err != nil {
		return fmt.Errorf("removing the socket of the egress proxy: %w", err)
	}
	return nil
}

// bufferedConn is a connection of which some bytes were read ahead.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *bufferedConn) CloseWrite() error {
	splice.CloseWrite(c.Conn)
	return nil
}
