package outbound

import "net/netip"

// reserved are networks to which no request goes, in addition to those that netip knows.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),         // this host
	netip.MustParsePrefix("240.0.0.0/4"),       // reserved; limited broadcast
	netip.MustParsePrefix("fec0::/10"),         // site-local, the former private addresses
	netip.MustParsePrefix("fd00:ec2::254/128"), // the metadata services of clouds, like 169.254.169.254
	netip.MustParsePrefix("fd20:ce::254/128"),
}

// translated are the networks of IPv6 in which addresses of IPv4 stand, and at which byte.
var translated = []struct {
	network netip.Prefix
	at      int
}{
	{netip.MustParsePrefix("::/96"), 12},          // IPv4-compatible
	{netip.MustParsePrefix("64:ff9b::/96"), 12},   // NAT64
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, // local NAT64, as most do it
	{netip.MustParsePrefix("2002::/16"), 2},       // 6to4
}

// meanings returns address without mapping and zone, and the address of IPv4 that it stands for, if it does.
func meanings(address netip.Addr) []netip.Addr {
	address = address.Unmap().WithZone("")
	all := []netip.Addr{address}
	for _, t := range translated {
		if address.Is6() && t.network.Contains(address) {
			bytes := address.As16()
			all = append(all, netip.AddrFrom4([4]byte(bytes[t.at:t.at+4])))
		}
	}
	return all
}

// special reports whether no request goes to a unless its network is allowed.
func special(a netip.Addr) bool {
	return !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || within(reserved, a)
}
