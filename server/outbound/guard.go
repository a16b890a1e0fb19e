package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// maxAnswerBytes is how large an answer may be. A patch of the largest object is smaller.
	maxAnswerBytes = int64(4 << 20)
	// maxHeaderBytes bounds the headers of an answer.
	maxHeaderBytes = 64 << 10
	// connectTimeout bounds the time until a connection is made.
	connectTimeout = 10 * time.Second
)

// Config says where requests may go.
type Config struct {
	// Allow and Deny are networks to which requests go, or do not go, in any case. Deny wins.
	Allow, Deny []netip.Prefix
	// HostServices lets names of services of the host cluster be resolved.
	HostServices bool
	// Own are the hosts of the server and of its etcd, each a name or an address, to which no request goes.
	Own []string
}

// Guard makes requests within bounds. It is safe for concurrent use.
type Guard struct {
	config Config
	names  names
	own    *own
	dialer net.Dialer
}

// New returns a guard.
func New(c Config) *Guard {
	g := &Guard{config: c, names: newNames(c.HostServices), own: newOwn(c.Own, net.DefaultResolver.LookupNetIP)}
	g.dialer = net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, ControlContext: g.control}
	return g
}

// errAddress is the answer for every address to which no request goes. It does not say which one it is, because a tenant could
// find out with it what a name means inside the network of the server.
var errAddress = errors.New("the server sends no requests to this address")

// DialContext connects to address, a host and a port, if the host is at an address to which requests go.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if host, err = g.names.absolute(host); err != nil {
		return nil, err
	}
	conn, err := g.dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
	if errors.Is(err, errAddress) {
		return nil, errAddress
	}
	return conn, err
}

// control is called with each address that a name was resolved to, before the connection is made.
func (g *Guard) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	return g.check(ctx, at.Addr())
}

// check returns nil if requests may go to address.
func (g *Guard) check(ctx context.Context, address netip.Addr) error {
	meant := meanings(address)
	for _, a := range meant {
		if within(g.config.Deny, a) {
			return errAddress
		}
	}
	if within(g.config.Allow, meant[0]) {
		return nil
	}
	for _, a := range meant {
		if special(a) {
			return errAddress
		}
	}
	return g.own.check(ctx, meant)
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// ClientConfig returns the configuration of a client whose requests the guard makes. Its owner may change it.
func (g *Guard) ClientConfig() *rest.Config { return g.EchoConfig(0) }

// EchoConfig is ClientConfig for requests whose answers repeat what was sent: an answer may have perByte more bytes for each one of the
// request.
func (g *Guard) EchoConfig(perByte int64) *rest.Config {
	return &rest.Config{
		Dial: g.DialContext,
		// The environment must not choose a proxy, which would resolve names by itself. With a function here, the transport is not kept in
		// client-go's cache either, which never forgets one.
		Proxy:         func(*http.Request) (*url.URL, error) { return nil, nil },
		WrapTransport: func(to http.RoundTripper) http.RoundTripper { return bounded(to, perByte) },
		// A client logs the warnings of an answer otherwise: each answer may have hundreds.
		WarningHandler: rest.NoWarnings{},
	}
}
