package app

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/annex-dev/annex/server"
	"github.com/annex-dev/annex/server/outbound"
)

// OutboundOptions say where the requests go that tenants make the server send.
type OutboundOptions struct {
	// Allow and Deny are networks such as 10.0.0.0/8.
	Allow, Deny []string
	// HostServices lets webhooks name services of the host cluster.
	HostServices bool
}

// AddFlags adds a flag for every option.
func (o *OutboundOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.Allow, "webhook-allow-cidr", o.Allow, "Networks to which webhooks of workspaces may be sent, in addition to all others except loopback, link-local, multicast and reserved addresses and the addresses of the server and its etcd. For example 127.0.0.0/8.")
	fs.StringSliceVar(&o.Deny, "webhook-deny-cidr", o.Deny, "Networks to which webhooks of workspaces are never sent, for example those of the pods and services of the host cluster. Takes precedence over --webhook-allow-cidr.")
	fs.BoolVar(&o.HostServices, "webhook-host-services", o.HostServices, "Let webhooks of workspaces be sent to services of the host cluster: by clientConfig.service, or by a name such as hooks.default.svc. Every tenant can then send requests to every service.")
}

// validate returns every fault.
func (o *OutboundOptions) validate() []error {
	_, errs := networks("webhook-allow-cidr", o.Allow)
	_, more := networks("webhook-deny-cidr", o.Deny)
	return append(errs, more...)
}

// networks parses the value of a flag.
func networks(flag string, values []string) ([]netip.Prefix, []error) {
	var all []netip.Prefix
	var errs []error
	for _, value := range values {
		network, err := netip.ParsePrefix(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s %q: must be a network such as 10.0.0.0/8", flag, value))
			continue
		}
		all = append(all, network.Masked())
	}
	return all, errs
}

// outbound returns the configuration of the guard: the server, its etcds and the API server of the host are never meant.
func (o *Options) outbound(addresses server.Addresses) outbound.Config {
	c := outbound.Config{HostServices: o.Outbound.HostServices}
	c.Allow, _ = networks("webhook-allow-cidr", o.Outbound.Allow) // valid
	c.Deny, _ = networks("webhook-deny-cidr", o.Outbound.Deny)
	urls := slices.Concat(o.EtcdServers, []string{addresses.Base, addresses.External, addresses.Virtual})
	others, _ := o.overrides() // valid
	for _, other := range others {
		urls = append(urls, other.servers...)
	}
	for _, value := range urls {
		if u, err := url.Parse(value); err == nil && u.Hostname() != "" && !slices.Contains(c.Own, u.Hostname()) {
			c.Own = append(c.Own, u.Hostname())
		}
	}
	if host := os.Getenv("KUBERNETES_SERVICE_HOST"); host != "" {
		c.Own = append(c.Own, host)
	}
	return c
}
