package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ownAge is how long the addresses of the server and its etcd are used before they are looked up again.
const ownAge = 30 * time.Second

// errLookup stands for the reason why names cannot be looked up, which is not for tenants.
var errLookup = errors.New("names cannot be looked up")

// own knows the addresses of this machine, of the server and of its etcd. A connection is made seldom, so they are looked up when one is.
type own struct {
	hosts  []string
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu    sync.Mutex
	known map[string]addresses
}

type addresses struct {
	all []netip.Addr
	at  time.Time
}

func newOwn(hosts []string, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) *own {
	return &own{hosts: hosts, lookup: lookup, known: map[string]addresses{}}
}

// check returns nil if none of the addresses is one of them. If it cannot tell, it returns an error.
func (o *own) check(ctx context.Context, meant []netip.Addr) error {
	local, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("finding the addresses of this machine: %w", err)
	}
	for _, l := range local {
		network, ok := l.(*net.IPNet)
		if !ok {
			continue
		}
		if a, ok := netip.AddrFromSlice(network.IP); ok && slices.Contains(meant, a.Unmap()) {
			return errAddress
		}
	}
	for _, host := range o.hosts {
		all, err := o.of(ctx, host)
		if err != nil {
			return err
		}
		for _, a := range all {
			if slices.Contains(meant, a.Unmap().WithZone("")) {
				return errAddress
			}
		}
	}
	return nil
}

// of returns the addresses of a host. If they cannot be found now, those of before count; a name that does not exist has none.
func (o *own) of(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	o.mu.Lock()
	before, known := o.known[host]
	o.mu.Unlock()
	if known && time.Since(before.at) < ownAge {
		return before.all, nil
	}
	all, err := o.lookup(ctx, "ip", host)
	if err != nil {
		var unknown *net.DNSError
		if known {
			return before.all, nil
		}
		if !errors.As(err, &unknown) || !unknown.IsNotFound {
			return nil, fmt.Errorf("finding out whether an address is one of the server itself: %w", errLookup)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known[host] = addresses{all: all, at: time.Now()}
	return all, nil
}
