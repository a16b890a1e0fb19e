package replicas

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
)

// proxy is the way by which the members of etcd reach one of them.
type proxy struct {
	network  *network
	listener net.Listener
	to       string // address of the member
	owner    int
}

// network is the connections between members. Each speaks HTTP and says in its first request which member it comes from.
type network struct {
	mu   sync.Mutex
	ids  map[string]int // from the ids of members, in hexadecimal, to their numbers
	off  map[int]bool   // who is cut off
	open map[*connection]struct{}
}

type connection struct {
	near, far net.Conn
	from, to  int // numbers of members; from is -1 when it did not say
}

func newNetwork() *network {
	return &network{ids: map[string]int{}, off: map[int]bool{}, open: map[*connection]struct{}{}}
}

// know tells which id a member has.
func (n *network) know(id string, member int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids[id] = member
}

// cut ends all connections from and to a member, and lets none through until heal.
func (n *network) cut(member int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off[member] = true
	for c := range n.open {
		if c.from == member || c.to == member || c.from < 0 {
			c.close()
		}
	}
}

func (n *network) heal(member int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.off, member)
}

// admit registers a connection unless one of its ends is cut off.
func (n *network) admit(c *connection, id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.from = -1
	if member, known := n.ids[id]; known {
		c.from = member
	}
	if n.off[c.to] || n.off[c.from] {
		return false
	}
	n.open[c] = struct{}{}
	return true
}

func (n *network) forget(c *connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, c)
}

func (c *connection) close() {
	_ = c.near.Close()
	if c.far != nil {
		_ = c.far.Close()
	}
}

// listen opens a way to member, which is at address.
func (n *network) listen(ctx context.Context, member int, address string) (*proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{network: n, listener: listener, to: address, owner: member}
	go p.accept(ctx)
	return p, nil
}

func (p *proxy) accept(ctx context.Context) {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(ctx, near)
	}
}

func (p *proxy) serve(ctx context.Context, near net.Conn) {
	c := &connection{near: near, to: p.owner}
	defer c.close()
	// What is read to see the header is passed on, too.
	var seen bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(near, &seen))
	request, err := http.ReadRequest(reader)
	if err != nil || !p.network.admit(c, request.Header.Get("X-Server-From")) {
		return
	}
	defer p.network.forget(c)
	far, err := new(net.Dialer).DialContext(ctx, "tcp", p.to)
	if err != nil {
		return
	}
	p.network.mu.Lock()
	c.far = far
	cut := p.network.off[c.from] || p.network.off[c.to]
	p.network.mu.Unlock()
	if cut {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(far, io.MultiReader(&seen, near))
		c.close()
	})
	both.Go(func() {
		_, _ = io.Copy(near, far)
		c.close()
	})
	both.Wait()
}
